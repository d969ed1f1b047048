package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/decube/decube/internal/durable"
)

const segmentSuffix = ".wal"

// fillStep is how many bytes of zeros are written at a time.
const fillStep = 1 << 20

// segment is one file of the log.
type segment struct {
	number uint32
	name   string // path
	file   durable.File
	sums   *checksummer

	first uint64 // its first group, 0 if it holds none that is needed
	last  uint64
	next  uint64 // index behind its last record
	end   int64  // offset behind its last group
}

func segmentName(dir string, number uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%08x%s", number, segmentSuffix))
}

// listSegments returns the numbers of the segments in a directory, ascending.
func listSegments(fsys durable.FS, dir string) ([]uint32, error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []uint32
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, segmentSuffix)
		n, err := strconv.ParseUint(digits, 16, 32)
		if ok && err == nil && segmentName(dir, uint32(n)) == filepath.Join(dir, name) {
			out = append(out, uint32(n))
		}
	}
	slices.Sort(out)
	return out, nil
}

func openSegment(fsys durable.FS, dir string, log logID, number uint32) (*segment, error) {
	name := segmentName(dir, number)
	f, err := fsys.OpenWrite(name)
	if err != nil {
		return nil, err
	}
	return &segment{number: number, name: name, file: f, sums: newChecksummer(log, number)}, nil
}

// makeSegment makes a file of zeros, all of them written: a later write to it
// changes neither its size nor its block map. The bytes are durable when it
// returns, the name is not. On an error nothing remains, if the disk allows.
func makeSegment(fsys durable.FS, dir string, log logID, number uint32, size int64) (s *segment, err error) {
	name := segmentName(dir, number)
	f, err := fsys.Create(name, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a segment: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("make a segment of %d bytes: %w", size, errors.Join(err, f.Close()))
			_ = fsys.Remove(name) // Open removes it otherwise
		}
	}()
	if err := f.Allocate(0, size); err != nil {
		return nil, err
	}
	if err := writeZeros(f, 0, size); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return &segment{number: number, name: name, file: f, sums: newChecksummer(log, number)}, nil
}

// writeZeros writes zeros over whole blocks of a file.
func writeZeros(f durable.File, from, to int64) error {
	if from >= to {
		return nil
	}
	return withBuffer(int(min(fillStep, to-from)), func(zeros []byte) error {
		for off := from; off < to; off += int64(len(zeros)) {
			if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-off)], off); err != nil {
				return err
			}
		}
		return nil
	})
}

// withBuffer lends aligned zeroed memory of n bytes, whole blocks, to use.
func withBuffer(n int, use func([]byte) error) (err error) {
	pool := durable.NewAlignedPool(n, 0)
	b, err := pool.Get()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Put(b)) }()
	return use(b)
}

// read reads the segment's first len(b) bytes, b being aligned whole blocks.
func (s *segment) read(b []byte) error {
	if n, err := s.file.ReadAt(b, 0); n < len(b) {
		return fmt.Errorf("read %s: %w", s.name, err)
	}
	return nil
}
