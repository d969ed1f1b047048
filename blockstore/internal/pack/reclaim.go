package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/decube/decube/internal/durable"
)

// Extent is a range of a pack.
type Extent struct {
	Off, Len int64
}

// Gaps returns what no record in live covers between the first record's place
// and end, in whole pages. live must be sorted by offset.
func Gaps(live []Loc, end int64) []Extent {
	var out []Extent
	at := int64(FirstRecord)
	add := func(to int64) {
		from, to := alignUp(at, durable.Align), to/durable.Align*durable.Align
		if to > from {
			out = append(out, Extent{from, to - from})
		}
	}
	for _, l := range live {
		if l.Off > at {
			add(l.Off)
		}
		at = max(at, l.End())
	}
	add(end)
	return out
}

// Reclaimable returns how much disk space the extents occupy, or with whole all
// of the pack.
func (s *Set) Reclaimable(id uint32, extents []Extent, whole bool) (int64, error) {
	p, err := s.acquire(id)
	if err != nil {
		return 0, err
	}
	defer s.release(p)
	if whole {
		return p.data.Load(), nil
	}
	var total int64
	for _, e := range extents {
		n, err := p.read.DataBytes(e.Off, e.Len)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// Punch gives the space of the extents back; they read as zeros from then on.
// It returns the bytes that were freed. Nothing is freed, without an error, on
// file systems without holes.
func (s *Set) Punch(id uint32, extents []Extent) (int64, error) {
	p, err := s.acquire(id)
	if err != nil {
		return 0, err
	}
	defer s.release(p)
	var total int64
	for _, e := range extents {
		n, err := p.read.DataBytes(e.Off, e.Len)
		if err == nil && n > 0 {
			err = p.read.PunchHole(e.Off, e.Len)
		}
		if errors.Is(err, durable.ErrUnsupported) {
			return total, nil
		}
		if err != nil {
			return total, fmt.Errorf("free %d bytes of %s: %w", e.Len, p.name, err)
		}
		total += n
		p.data.Add(-n)
		s.data.Add(-n)
	}
	return total, nil
}

// Remove deletes a pack that nothing below end refers to, and returns the bytes
// it occupied. Readers that hold it finish; new ones get ErrGone. A pack that is
// being appended to, or was after it had that end, stays: false is returned.
func (s *Set) Remove(id uint32, end int64) (freed int64, removed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.packs[id]
	if p == nil || p.appending || p.end.Load() != end {
		return 0, false, nil
	}
	if err := s.cfg.FS.Remove(p.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, false, fmt.Errorf("remove a dead pack: %w", err)
	}
	delete(s.packs, id)
	s.idle = slices.DeleteFunc(s.idle, func(q *file) bool { return q == p })
	p.removed = true
	if p.refs == 0 {
		s.closeRead(p)
	}
	freed = p.data.Load()
	s.data.Add(-freed)
	s.spare.Add(min(0, end-p.size))
	return freed, true, nil
}

// SyncDir makes removals durable.
func (s *Set) SyncDir() error { return s.cfg.FS.SyncDir(s.cfg.Dir) }
