package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/decube/decube/internal/durable"
)

// Log is an open log. It is not safe for concurrent use: it belongs to the
// goroutine that runs the replica.
type Log struct {
	opts        Options
	id          logID
	segmentSize int64
	recovery    Recovery

	pool   *durable.AlignedPool
	buf    []byte
	group  builder // what was appended since the last Sync
	marker builder // a group without records
	index  uint64  // of the next record

	live   []*segment // hold needed groups, oldest first; the last one is written to
	freed  []*segment // held some before, as the disk still says
	spare  []*segment // hold none, the next to be used first
	last   uint64     // newest group, durable
	sum    uint32     // its sum
	next   uint64     // index behind its last record
	peak   int        // of len(live), fading
	failed error      // why nothing is done any more
}

// Create makes a new, empty log and makes it durable; the directory is made if
// need be. It returns ErrExist if there is a log, and ErrCorrupt if there is
// one whose manifest is lost. An earlier Create that was interrupted leaves
// nothing that matters.
func Create(o Options) (*Log, error) {
	o = o.withFS()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create a log: %w", err)
	}
	manifestPath := filepath.Join(o.Dir, manifestName)
	if _, err := o.FS.ReadFile(manifestPath); err == nil {
		return nil, fmt.Errorf("%w: in %s", ErrExist, o.Dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("create a log: %w", err)
	}
	if err := removeBlank(o.FS, o.Dir); err != nil {
		return nil, err
	}
	l := &Log{opts: o, segmentSize: o.SegmentSize, index: 1, next: 1, recovery: Recovery{First: 1, Next: 1, Closed: true}}
	_, _ = rand.Read(l.id[:]) // never fails
	if err := l.start(); err != nil {
		return nil, err
	}
	for range o.Segments {
		if err := l.addSegment(); err != nil {
			err = errors.Join(err, l.release())
			_ = removeBlank(o.FS, o.Dir) // the next Create does otherwise
			return nil, err
		}
	}
	if err := errors.Join(o.FS.SyncDir(o.Dir), l.writeManifest(false)); err != nil {
		return nil, errors.Join(fmt.Errorf("create a log: %w", err), l.release())
	}
	return l, nil
}

// start takes the memory in which groups are collected.
func (l *Log) start() error {
	size := l.opts.groupBuffer()
	l.pool = durable.NewAlignedPool(size+blockSize, 0)
	buf, err := l.pool.Get()
	if err != nil {
		return err
	}
	l.buf, l.group, l.marker = buf, builder{buf: buf[:size]}, builder{buf: buf[size:]}
	l.group.reset()
	l.marker.reset()
	return nil
}

// Append adds a record to the current group and returns its index; the first
// record of a log has index 1, and each next one more. The data is copied. The
// record is durable only when Sync has returned nil. If the buffer is full,
// Append writes what is in it as Sync does.
func (l *Log) Append(kind byte, data []byte) (uint64, error) {
	if l.failed != nil {
		return 0, l.failed
	}
	if len(data) > l.opts.MaxRecord {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), l.opts.MaxRecord)
	}
	if !l.group.fits(len(data)) {
		if err := l.write(&l.group); err != nil {
			return 0, err
		}
	}
	l.group.add(kind, data)
	l.index++
	return l.index - 1, nil
}

// Sync makes everything appended so far durable, with one write and one flush.
// If there is nothing new it does nothing.
func (l *Log) Sync() error {
	if l.failed != nil {
		return l.failed
	}
	if l.group.count == 0 {
		return nil
	}
	return l.write(&l.group)
}

// TruncateBefore says that no record below index is needed any more. Segments
// that hold only such records become free for new ones, so records go away in
// large steps and some below index will still be replayed. Freeing some takes one
// more write and flush, which makes nothing else durable; it needs no disk space,
// so that a log that filled the disk can still be truncated.
func (l *Log) TruncateBefore(index uint64) error {
	if l.failed != nil {
		return l.failed
	}
	if index > l.index {
		return fmt.Errorf("%w: %d, the next is %d", ErrIndex, index, l.index)
	}
	free := 0
	for free < len(l.live)-1 && l.live[free].next <= index {
		free++
	}
	if free == 0 {
		return nil
	}
	l.peak = max(len(l.live), l.peak-1)
	l.freed, l.live = slices.Clone(l.live[:free]), slices.Clone(l.live[free:])
	// The floor must be on the disk before a segment below it is overwritten.
	if err := l.write(&l.marker); err != nil {
		return err
	}
	for _, s := range l.freed {
		s.first, s.last, s.next, s.end = 0, 0, 0, 0
	}
	l.spare, l.freed = append(l.spare, l.freed...), nil
	return l.shrink()
}

// Next returns the index that the next record will have.
func (l *Log) Next() uint64 { return l.index }

// Live returns how many bytes the segments have that hold records which were not cut off,
// and how many segments that are.
func (l *Log) Live() (bytes int64, segments int) {
	return int64(len(l.live)) * l.segmentSize, len(l.live)
}

// Recovery returns what was found when the log was opened.
func (l *Log) Recovery() Recovery { return l.recovery }

// Close makes everything appended durable, notes the end of the log in its
// manifest, and closes the files. A log that has failed returns why.
func (l *Log) Close() error {
	if errors.Is(l.failed, ErrClosed) {
		return nil
	}
	err := l.Sync()
	if err == nil {
		err = l.fail(l.writeManifest(true))
	}
	err = errors.Join(err, l.release())
	l.failed = ErrClosed
	return err
}

// release closes the files and gives back the memory.
func (l *Log) release() error {
	var errs []error
	for _, s := range slices.Concat(l.live, l.freed, l.spare) {
		errs = append(errs, s.file.Close())
	}
	if l.buf != nil {
		errs = append(errs, l.pool.Put(l.buf))
	}
	l.live, l.freed, l.spare = nil, nil, nil
	l.buf, l.group, l.marker = nil, builder{}, builder{}
	return errors.Join(errs...)
}

// fail makes err, if there is one, the last thing that the log says.
func (l *Log) fail(err error) error {
	if err == nil {
		return nil
	}
	l.failed = fmt.Errorf("%w: %w", ErrFailed, err)
	return l.failed
}

// write writes a group, makes it durable, and begins the next.
func (l *Log) write(g *builder) error {
	if err := l.makeRoom(g); err != nil {
		return l.fail(err)
	}
	s := l.live[len(l.live)-1]
	if s.first == 0 {
		s.first = l.last + 1
	}
	h := header{prev: l.sum, group: l.last + 1, floor: l.live[0].first, index: l.next}
	out, sum := g.seal(h, s.sums, int(s.end/sectorSize))
	if _, err := s.file.WriteAt(out, s.end); err != nil {
		return l.fail(fmt.Errorf("write group %d: %w", h.group, err))
	}
	if err := s.file.Sync(); err != nil {
		return l.fail(fmt.Errorf("sync group %d: %w", h.group, err))
	}
	l.last, l.sum, l.next = h.group, sum, l.next+uint64(g.count)
	s.last, s.next, s.end = h.group, l.next, s.end+int64(len(out))
	g.reset()
	return nil
}

// makeRoom makes sure that the last live segment has room for a group. Records
// leave one block of each segment to a marker, which therefore finds room where
// it matters most: when there is no other segment and no space to make one.
func (l *Log) makeRoom(g *builder) error {
	need := int64(g.blocks()) * blockSize
	if g.count > 0 {
		need += blockSize
	}
	if len(l.live) > 0 && l.live[len(l.live)-1].end+need <= l.segmentSize {
		return nil
	}
	if len(l.spare) == 0 {
		if err := l.grow(); err != nil {
			return err
		}
	}
	l.live, l.spare = append(l.live, l.spare[0]), l.spare[1:]
	return nil
}

// grow adds a segment, durably.
func (l *Log) grow() error {
	if err := l.addSegment(); err != nil {
		return err
	}
	if err := l.opts.FS.SyncDir(l.opts.Dir); err != nil {
		return err
	}
	return l.writeManifest(false)
}

// addSegment makes a spare segment, which counts once the manifest names it.
func (l *Log) addSegment() error {
	number := uint32(0)
	for _, n := range l.numbers() {
		number = max(number, n+1)
	}
	s, err := makeSegment(l.opts.FS, l.opts.Dir, l.id, number, l.segmentSize)
	if err != nil {
		return err
	}
	l.spare = append(l.spare, s)
	return nil
}

// shrink removes a spare segment if the log has been larger than it needs to be
// for some time. The manifest stops naming it first.
func (l *Log) shrink() error {
	if len(l.live)+len(l.spare) <= max(l.opts.Segments, l.peak+1) {
		return nil
	}
	s := l.spare[len(l.spare)-1]
	l.spare = l.spare[:len(l.spare)-1]
	if err := l.writeManifest(false); err != nil {
		return l.fail(errors.Join(err, s.file.Close()))
	}
	return l.fail(errors.Join(s.file.Close(), l.opts.FS.Remove(s.name)))
}

// numbers returns the numbers of the segments, ascending.
func (l *Log) numbers() []uint32 {
	var out []uint32
	for _, s := range slices.Concat(l.live, l.freed, l.spare) {
		out = append(out, s.number)
	}
	slices.Sort(out)
	return out
}

func (l *Log) writeManifest(closed bool) error {
	m := manifest{closed: closed, log: l.id, segmentSize: l.segmentSize, last: l.last, segments: l.numbers()}
	if err := l.opts.FS.WriteFile(filepath.Join(l.opts.Dir, manifestName), m.encode(), 0o600); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return nil
}
