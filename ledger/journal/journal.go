package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/ledger/wal"
)

// ErrContradiction is returned for a log that holds what no replica writes into one:
// two blocks decided at one sequence number.
var ErrContradiction = errors.New("the log contradicts itself")

const (
	// LogDir is the log's directory in the replica's.
	LogDir = "wal"
	// markLost is the file that says that this replica's log was lost. It is there from
	// before the new log is made until the replica has taken its place anew. It has the
	// IDs of the log's renewals from before the loss, which make good nothing, and their
	// CRC-32C 4: of a mark that is damaged, all of the log's renewals are from before.
	markLost = "recovering"
)

// Journal is an open log. It is not safe for concurrent use.
type Journal struct {
	fs       durable.FS
	dir      string
	wal      *wal.Log
	segments int // that the log may grow to before it is tidied
	contents Contents
	lost     bool
	renewals []byte // IDs of all in the log
	buf      []byte
}

// Options say where the log is.
type Options struct {
	FS  durable.FS // durable.OS if nil
	Dir string     // of the replica
	// SegmentSize and Segments are those of a new log, wal.Default's if 0.
	SegmentSize int64
	Segments    int
}

// MaxRecord returns the most bytes that a record may have: those of the largest of any
// ledger, or half of a segment, if that is less.
func (o Options) MaxRecord() int {
	if o.SegmentSize == 0 {
		return codec.MaxLogRecord
	}
	return int(min(int64(codec.MaxLogRecord), o.SegmentSize/2))
}

func (o Options) wal() wal.Options {
	w := wal.Default(filepath.Join(o.Dir, LogDir))
	w.FS, w.MaxRecord = o.FS, o.MaxRecord()
	if o.SegmentSize != 0 {
		w.SegmentSize = o.SegmentSize
	}
	if o.Segments != 0 {
		w.Segments = o.Segments
	}
	return w
}

// Create makes the log of a replica whose key has never been used. If there is a log
// already, it is left as it is. It is durable when Create returns.
func Create(o Options) error {
	l, err := wal.Create(o.wal())
	if errors.Is(err, wal.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	return l.Close()
}

// Open opens the log and returns what it adds up to. A replica without a log has lost
// it, for Create has made one: it gets an empty one, which is marked, durably and
// before it is there. A damaged log is wal.ErrCorrupt, or ErrContradiction.
func Open(o Options) (*Journal, *Memory, error) {
	if o.FS == nil {
		o.FS = durable.OS
	}
	mark := filepath.Join(o.Dir, markLost)
	l, err := wal.Open(o.wal())
	if errors.Is(err, wal.ErrNotExist) {
		if err = putMark(o.FS, mark, nil); err != nil {
			return nil, nil, err
		}
		l, err = wal.Create(o.wal())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	j := &Journal{fs: o.FS, dir: o.Dir, wal: l, segments: o.wal().Segments}
	m, err := j.load(mark)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("reading the log: %w", err), l.Close())
	}
	return j, m, nil
}

func (j *Journal) load(mark string) (*Memory, error) {
	void, intact, err := readMark(j.fs, mark)
	switch {
	case err == nil:
		j.lost = true
	case errors.Is(err, fs.ErrNotExist):
		intact = true
	default:
		return nil, err
	}
	var records []codec.LogRecord
	for r, err := range j.wal.Replay() {
		if err != nil {
			return nil, err
		}
		rec, err := codec.DecodeLogRecord(r.Data)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", r.Index, err)
		}
		j.add(r.Index, len(r.Data), rec)
		if _, renewal := rec.(codec.Renewal); renewal && !intact || isVoid(rec, void) {
			continue
		}
		records = append(records, rec)
	}
	if !intact {
		if err := j.Lose(); err != nil {
			return nil, err
		}
	}
	return Fold(records)
}

// putMark writes the mark of a loss with the IDs of renewals, durably.
func putMark(to durable.FS, name string, ids []byte) error {
	b := binary.BigEndian.AppendUint32(slices.Clone(ids), crc32.Checksum(ids, castagnoli))
	if err := to.WriteFile(name, b, 0o600); err != nil {
		return fmt.Errorf("noting that the log was lost: %w", err)
	}
	return nil
}

// readMark returns the IDs in the mark of a loss, or that it is not as it was written.
func readMark(from durable.FS, name string) (ids []byte, intact bool, err error) {
	b, err := from.ReadFile(name)
	if err != nil {
		return nil, false, err
	}
	n := len(b) - crc32.Size
	if n < 0 || binary.BigEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli) {
		return nil, false, nil
	}
	return b[:n], true, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// add takes note of a record of the log.
func (j *Journal) add(index uint64, size int, rec codec.LogRecord) {
	j.contents.Add(index, size, rec)
	if r, ok := rec.(codec.Renewal); ok {
		j.renewals = append(j.renewals, r.ID[:]...)
	}
}

// isVoid reports whether a record is a renewal of which the mark of a loss has the ID.
func isVoid(rec codec.LogRecord, void []byte) bool {
	r, ok := rec.(codec.Renewal)
	for ; ok && len(void) >= len(r.ID); void = void[len(r.ID):] {
		if r.ID == tx.ID(void[:len(r.ID)]) {
			return true
		}
	}
	return false
}

// Lost reports whether the log was lost and the replica has not taken its place anew
// since: it must not vote.
func (j *Journal) Lost() bool { return j.lost }

// Decided returns the highest sequence number of which the log has had a decision.
func (j *Journal) Decided() uint64 { return j.contents.Decided() }

// HasBody reports whether a record of a block with this root needs no body.
func (j *Journal) HasBody(root pbft.Digest) bool { return j.contents.HasBody(root) }

// Append adds a record, without the body if the log has it. It is durable after Sync.
// After an error the log is of no use any more.
func (j *Journal) Append(rec codec.LogRecord) error {
	switch r := rec.(type) {
	case codec.Accepted:
		if j.HasBody(r.Header.Body) {
			r.Body = nil
		}
		rec = r
	case codec.Decided:
		if j.HasBody(r.Decision.Header.Body) {
			r.Body = nil
		}
		rec = r
	}
	j.buf = codec.AppendLogRecord(j.buf[:0], rec)
	index, err := j.wal.Append(j.buf[0], j.buf)
	if err != nil {
		return fmt.Errorf("writing the log: %w", err)
	}
	j.add(index, len(j.buf), rec)
	if cap(j.buf) > maxBuffer {
		j.buf = nil
	}
	return nil
}

// maxBuffer is the most bytes that are kept for the next record.
const maxBuffer = 256 << 10

// Sync makes all that was appended durable.
func (j *Journal) Sync() error {
	if err := j.wal.Sync(); err != nil {
		return fmt.Errorf("syncing the log: %w", err)
	}
	return nil
}

// Cut drops what is not needed any more, now that the archive is durable up to a
// sequence number. What must outlive the cut is written again and synced before
// anything goes. Space comes free in large steps.
func (j *Journal) Cut(stored uint64) error {
	again, before := j.contents.Cut(stored, j.wal.Next())
	for _, rec := range again {
		if err := j.Append(rec); err != nil {
			return err
		}
	}
	// Also without anything to write again: a record that takes an earlier one's place
	// may not be durable yet.
	if err := j.Sync(); err != nil {
		return err
	}
	if err := j.wal.TruncateBefore(before); err != nil {
		return fmt.Errorf("cutting the log: %w", err)
	}
	j.contents.Dropped(before)
	return nil
}

// Lose says that the replica has said more than its log has: the log is an old one, and
// as good as lost. Whatever renewals it has are of before. The mark is durable when it
// returns nil.
func (j *Journal) Lose() error {
	if err := putMark(j.fs, filepath.Join(j.dir, markLost), j.renewals); err != nil {
		return err
	}
	j.lost = true
	j.contents.RenewalOver()
	return nil
}

// Renewed says that the replica has taken its place anew, so that what its old log had
// said is void: it may vote. The mark is durably gone when it returns nil.
func (j *Journal) Renewed() error {
	j.contents.RenewalOver()
	if !j.lost {
		return nil
	}
	if err := j.fs.Remove(filepath.Join(j.dir, markLost)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("noting that the replica votes again: %w", err)
	}
	if err := j.fs.SyncDir(j.dir); err != nil {
		return fmt.Errorf("noting that the replica votes again: %w", err)
	}
	j.lost = false
	return nil
}

// Close makes all that was appended durable and closes the log.
func (j *Journal) Close() error { return j.wal.Close() }
