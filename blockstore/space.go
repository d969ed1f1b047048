package blockstore

import (
	"errors"
	"fmt"

	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/internal/durable"
)

// space keeps the store within its quota and away from a full disk. Nothing is
// asked per block: room is called when disk space is reserved, in large steps.
type space struct {
	dir      string
	fs       durable.FS
	quota    int64
	minFree  int64
	occupied func() int64 // by packs, bytes
	db       kv.DB
	ballast  *ballast
	ro       bool // what is changed is elsewhere
	refused  func(error)
}

// room decides how much of want bytes may be reserved for blocks.
func (s *space) room(need, want int64) (n int64, err error) {
	defer func() {
		if err != nil {
			s.refused(err)
		}
	}()
	free, err := s.fs.Free(s.dir)
	if err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	free += s.ballast.size() // it is part of what is kept free
	left := free - s.minFree
	if left < need {
		return 0, &SpaceError{Path: s.dir, Free: free, Needed: need, Keep: s.minFree}
	}
	if s.quota > 0 {
		used, err := s.used()
		if err != nil {
			return 0, err
		}
		if s.quota-used < need {
			return 0, &QuotaError{Used: used, Needed: need, Quota: s.quota}
		}
		left = min(left, s.quota-used)
	}
	if want > left/4 {
		// Near a limit nobody takes much more than needed: others write too.
		want = left / 4 / durable.Align * durable.Align
	}
	return max(need, want), nil
}

// used returns the bytes the store occupies.
func (s *space) used() (int64, error) {
	n, err := s.db.Size()
	if err != nil {
		return 0, err
	}
	return n + s.occupied(), nil
}

// checkIndex refuses a change to the index when the disk is so full that Badger
// might run out of space.
func (s *space) checkIndex() error {
	err := s.shortage(s.keepForIndex())
	if errors.Is(err, ErrNoSpace) {
		s.refused(err)
	}
	return err
}

// roomy reports whether checkIndex would allow a change, and tells nobody.
func (s *space) roomy() bool { return s.shortage(s.keepForIndex()) == nil }

// keepForIndex returns what must be free for a change to the index. What is set aside
// is not free.
func (s *space) keepForIndex() int64 { return max(s.minFree/2-s.ballast.size(), indexNeeds) }

// shortage returns a *SpaceError when less than keep is free.
func (s *space) shortage(keep int64) error {
	if s.ro {
		return nil
	}
	free, err := s.fs.Free(s.dir)
	if err != nil {
		return fmt.Errorf("ask for free space: %w", err)
	}
	if free < keep {
		return &SpaceError{Path: s.dir, Free: free, Keep: keep}
	}
	return nil
}

// explain turns the operating system's "disk full" into ErrNoSpace.
func (s *space) explain(err error) error {
	if err == nil || !isFull(err) || errors.Is(err, ErrNoSpace) {
		return err
	}
	s.refused(err)
	free, freeErr := s.fs.Free(s.dir)
	if freeErr != nil {
		return fmt.Errorf("%w: %s: %w", ErrNoSpace, s.dir, err)
	}
	return fmt.Errorf("%w: %s has %s free: %w", ErrNoSpace, s.dir, size(free), err)
}
