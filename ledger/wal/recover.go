package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Recovery is what Open found.
type Recovery struct {
	// First is the index of the oldest record that Replay yields, Next the index
	// behind the newest. They are equal when there are none.
	First, Next uint64
	// Closed says that the log had been closed, so that nothing can be missing.
	Closed bool
	// Torn is how many bytes were erased behind the last whole group: the remains of
	// one that was never acknowledged, or rot in blocks that were not needed.
	Torn int64
}

// scanned is a segment with what was found in it.
type scanned struct {
	*segment
	summary
	listed bool // in the manifest
}

func (s scanned) corrupt(sector int, format string, args ...any) error {
	return corrupt(s.name, int64(sector)*sectorSize, format, args...)
}

// tail is the end of the log: the last whole group and where it is.
type tail struct {
	header
	at    *scanned // nil if there is no group
	block int
}

// Open opens a log, decides what of it was acknowledged, and makes that durable.
// It returns ErrNotExist if there is no log, ErrCorrupt if acknowledged records
// are damaged, and ErrVersion if the format is unknown; in these cases nothing
// on the disk was changed.
func Open(o Options) (_ *Log, err error) {
	o = o.withFS()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	m, err := readManifest(o.FS, filepath.Join(o.Dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		if err := findBlank(o.FS, o.Dir, nil); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: in %s", ErrNotExist, o.Dir)
	} else if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	if segmentFor(o.MaxRecord) > m.segmentSize {
		return nil, fmt.Errorf("%w: records of up to %d bytes do not fit the log's segments of %d", ErrOptions, o.MaxRecord, m.segmentSize)
	}
	o.SegmentSize = m.segmentSize
	segments, err := scanAll(o, m)
	if err != nil {
		return nil, err
	}
	l := &Log{opts: o, id: m.log, segmentSize: m.segmentSize}
	defer func() {
		if err != nil {
			for _, s := range segments {
				_ = s.file.Close() // the error that matters is known
			}
		}
	}()
	end, err := l.arrange(segments, m)
	if err != nil {
		return nil, err
	}
	if err := l.settle(segments, end, m.closed); err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	if err := l.start(); err != nil {
		return nil, err
	}
	return l, nil
}

// scanAll reads every segment, also those that the manifest does not name.
func scanAll(o Options, m manifest) (all []*scanned, err error) {
	defer func() {
		if err != nil {
			for _, s := range all {
				_ = s.file.Close() // the error that matters is known
			}
		}
	}()
	present, err := listSegments(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	for _, n := range m.segments {
		if !slices.Contains(present, n) {
			return nil, corrupt(segmentName(o.Dir, n), 0, "the segment is missing")
		}
	}
	err = withBuffer(int(m.segmentSize), func(b []byte) error {
		for _, n := range present {
			seg, err := openSegment(o.FS, o.Dir, m.log, n)
			if err != nil {
				return err
			}
			s := &scanned{segment: seg, listed: slices.Contains(m.segments, n)}
			all = append(all, s)
			size, err := seg.file.Size()
			if err != nil {
				return err
			}
			if s.listed && size != m.segmentSize {
				return s.corrupt(0, "%d bytes, want %d", size, m.segmentSize)
			}
			part := b[:min(size, m.segmentSize)/blockSize*blockSize]
			if err := seg.read(part); err != nil {
				return err
			}
			s.summary = image{part, seg.sums}.summarize()
		}
		return nil
	})
	return all, err
}

// arrange finds the end of the log and checks that all before it is there. It
// changes nothing on the disk.
func (l *Log) arrange(segments []*scanned, m manifest) (tail, error) {
	var end tail
	for _, s := range segments {
		if k := len(s.groups); s.listed && k > 0 && s.groups[k-1].group > end.group {
			end = tail{s.groups[k-1], s, s.blocks[k-1]}
		}
	}
	if err := checkEnd(segments, end, m); err != nil {
		return end, err
	}
	l.recovery = Recovery{First: 1, Next: 1, Closed: m.closed}
	if end.at != nil {
		if err := l.chain(segments, end); err != nil {
			return end, err
		}
		l.last, l.sum, l.recovery.Next = end.group, end.sum, end.header.next()
	}
	l.index, l.next = l.recovery.Next, l.recovery.Next
	for _, s := range segments {
		if s.listed && !slices.Contains(l.live, s.segment) {
			l.spare = append(l.spare, s.segment)
		}
	}
	return end, nil
}

// checkEnd looks for signs that more groups than those found were acknowledged.
func checkEnd(segments []*scanned, end tail, m manifest) error {
	for _, s := range segments {
		limit := end.group + 1 // a torn group has this number
		if m.closed || !s.listed {
			limit = end.group
		}
		newest := s.newest
		if k := len(s.groups); !s.listed && k > 0 {
			newest = max(newest, s.groups[k-1].group)
		}
		switch {
		case newest > limit && !s.listed:
			return s.corrupt(0, "there is group %d or a part of it, but the manifest does not name the segment", newest)
		case newest > limit && m.closed:
			return s.corrupt(s.from, "there is a part of group %d, but the log was closed after group %d", newest, m.last)
		case newest > limit:
			return missing(segments, end.group+1, newest)
		}
		for _, b := range s.broken {
			if s.listed && b.claim > end.group {
				return s.corrupt(b.sector, "group %d was written here, and is damaged; group %d is the last whole one", b.claim, end.group)
			}
		}
	}
	if end.group < m.last || m.closed && end.group > m.last {
		name, offset := "", int64(0)
		if end.at != nil {
			name, offset = end.at.name, int64(end.at.whole)*blockSize
		} else if len(segments) > 0 {
			name = segments[0].name
		}
		return corrupt(name, offset, "the log ends with group %d, the manifest says %d", end.group, m.last)
	}
	return nil
}

// chain follows the groups from the floor to the end and makes their segments
// live.
func (l *Log) chain(segments []*scanned, end tail) error {
	var before *header
	for group := end.floor; group <= end.group; {
		i := slices.IndexFunc(segments, func(s *scanned) bool {
			return s.listed && len(s.groups) > 0 && s.groups[0].group == group
		})
		if i < 0 {
			return missing(segments, group, end.group)
		}
		s := segments[i]
		for k, h := range s.groups {
			if before != nil && (h.prev != before.sum || h.index != before.next()) {
				return s.corrupt(s.blocks[k]*blockSectors, "group %d does not continue group %d", h.group, before.group)
			}
			before = &s.groups[k]
		}
		s.first, s.last, s.next, s.end = group, before.group, before.next(), int64(s.whole)*blockSize
		l.live = append(l.live, s.segment)
		group = before.group + 1
	}
	if len(l.live) == 0 || l.live[len(l.live)-1] != end.at.segment {
		return end.at.corrupt(end.block*blockSectors, "group %d says that group %d is the oldest", end.group, end.floor)
	}
	l.recovery.First = firstIndex(segments, l.live[0])
	return nil
}

func firstIndex(segments []*scanned, live *segment) uint64 {
	i := slices.IndexFunc(segments, func(s *scanned) bool { return s.segment == live })
	return segments[i].groups[0].index
}

// missing says where a group should be of which a later one tells: behind the one
// before it, or at the beginning of a segment, whichever shows traces of it.
func missing(segments []*scanned, group, later uint64) error {
	const what = "group %d is damaged or missing, but there is group %d or a part of it"
	var where *scanned
	for _, s := range segments {
		traces := s.newest >= group || len(s.broken) > 0
		follows := len(s.groups) > 0 && s.groups[len(s.groups)-1].group+1 == group
		switch {
		case !s.listed:
		case traces && (follows || len(s.groups) == 0):
			return s.corrupt(s.whole*blockSectors, what, group, later)
		case where == nil || follows:
			where = s
		}
	}
	return where.corrupt(where.whole*blockSectors, what, group, later)
}

// settle makes what was found durable and erases what was not acknowledged.
func (l *Log) settle(segments []*scanned, end tail, closed bool) error {
	for _, s := range segments {
		if !s.listed {
			continue
		}
		n, err := s.erase(end.group)
		if err != nil {
			return err
		}
		l.recovery.Torn += n
		rewrite := s == end.at && !closed
		if rewrite {
			if err := s.rewrite(end.block, s.whole); err != nil {
				return err
			}
		}
		if n > 0 || rewrite {
			if err := s.file.Sync(); err != nil {
				return err
			}
		}
	}
	if err := l.writeManifest(false); err != nil {
		return err
	}
	return l.removeUnlisted(segments)
}

// erase writes zeros over what lies behind the whole groups and is neither zero
// nor a sector of an older group, and returns over how many bytes.
func (s *scanned) erase(last uint64) (int64, error) {
	from, to := s.sectorsFound(last)
	if from >= to {
		return 0, nil
	}
	lo := int64(from/blockSectors) * blockSize
	hi := int64((to+blockSectors-1)/blockSectors) * blockSize
	return hi - lo, writeZeros(s.file, lo, hi)
}

// sectorsFound returns the range of sectors that erase is about.
func (s *scanned) sectorsFound(last uint64) (from, to int) {
	if s.newest > last {
		from, to = s.from, s.to
	}
	for _, b := range s.broken {
		if to == 0 {
			from = b.sector
		}
		from, to = min(from, b.sector), max(to, b.sector+1)
	}
	return from, to
}

// rewrite writes blocks again as they are.
func (s *scanned) rewrite(from, to int) error {
	return withBuffer((to-from)*blockSize, func(b []byte) error {
		off := int64(from) * blockSize
		if n, err := s.file.ReadAt(b, off); n < len(b) {
			return fmt.Errorf("read %s: %w", s.name, err)
		}
		_, err := s.file.WriteAt(b, off)
		return err
	})
}

// removeUnlisted removes what an interrupted change left behind.
func (l *Log) removeUnlisted(segments []*scanned) error {
	for _, s := range segments {
		if !s.listed {
			if err := errors.Join(s.file.Close(), l.opts.FS.Remove(s.name)); err != nil {
				return err
			}
		}
	}
	names, err := l.opts.FS.ReadDir(l.opts.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "."+manifestName) {
			if err := l.opts.FS.Remove(filepath.Join(l.opts.Dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
