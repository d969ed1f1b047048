package wal

import (
	"fmt"

	"github.com/decube/decube/internal/durable"
)

const (
	maxSegmentSize = 1 << 30
	maxSegments    = 1 << 16 // bounds the manifest and the open files
	minBuffer      = 1 << 20
)

// Options say where a log is and how much it may hold.
type Options struct {
	// FS is the file system, durable.OS if nil.
	FS durable.FS
	// Dir is the log's directory. It belongs to the log alone, and to one process
	// at a time: the caller holds the lock.
	Dir string
	// SegmentSize is the size in bytes of the files of a new log, a multiple of
	// durable.Align. A log keeps the size that it was created with.
	SegmentSize int64
	// Segments is how many segments a log is created with and shrinks to. It grows
	// beyond while TruncateBefore lets it, by one whenever all are in use; the
	// Sync that needs one then takes as long as writing SegmentSize bytes does.
	Segments int
	// MaxRecord is the most bytes that one record may have. A buffer of this size
	// is kept in memory, of which only what was used takes space.
	MaxRecord int
}

// Default returns the options of a replica's log in dir: 2 segments of 9 MiB, records of
// at most 8.5 MiB. A log under load grows to what it needs, and a larger one would write no
// fewer bytes: segments beyond those that it begins with are kept while they are used.
func Default(dir string) Options {
	return Options{FS: durable.OS, Dir: dir, SegmentSize: 9 << 20, Segments: 2, MaxRecord: 17 << 19}
}

// Validate returns ErrOptions, with the reason, for options that cannot be used.
func (o Options) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrOptions, fmt.Sprintf(format, args...))
	}
	switch {
	case o.Dir == "":
		return bad("no directory")
	case o.SegmentSize < durable.Align || o.SegmentSize > maxSegmentSize || o.SegmentSize%durable.Align != 0:
		return bad("segments of %d bytes: want a multiple of %d up to %d", o.SegmentSize, durable.Align, maxSegmentSize)
	case o.Segments < 2 || o.Segments > maxSegments:
		return bad("%d segments: want 2 to %d", o.Segments, maxSegments)
	case o.MaxRecord < 1 || o.MaxRecord > maxSegmentSize || segmentFor(o.MaxRecord) > o.SegmentSize:
		return bad("records of up to %d bytes do not fit segments of %d", o.MaxRecord, o.SegmentSize)
	}
	return nil
}

func (o Options) withFS() Options {
	if o.FS == nil {
		o.FS = durable.OS
	}
	return o
}

// bufferSize returns the bytes on disk of a group of one record of n bytes.
func bufferSize(n int) int64 { return int64(blocksFor(headerSize+recordHeader+n)) * blockSize }

// segmentFor returns the size of the smallest segment that records of up to n
// bytes fit: one block is left to a marker.
func segmentFor(n int) int64 { return bufferSize(n) + blockSize }

// groupBuffer returns the size of the buffer in which groups are collected.
func (o Options) groupBuffer() int {
	return int(max(bufferSize(o.MaxRecord), min(minBuffer, o.SegmentSize-blockSize)))
}
