// Package memstore is a store of records in memory, with crashes: for the simulator
// and for tests. It is a function of the calls that were made of it, and has no
// goroutine, lock, clock or randomness; its methods are for one goroutine at a time.
//
//	Sync ----> durable -- Write, Write, Write ----> present
//	             0          1      2      3
//	Crash(2) leaves what was present after the second
//
// What is stored is an immutable tree, of which each write makes a new one that shares
// nearly all with the one before. So a crash costs nothing, nor does a Clone, and each
// point at which a run might have crashed can be looked at.
package memstore

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/decube/decube/internal/records"
)

// ErrClosed is returned by a store that is closed.
var ErrClosed = errors.New("the store is closed")

// DefaultLimits are about those of the store on disk.
var DefaultLimits = records.Limits{Changes: 14_000, Bytes: 1200 << 10}

// Store is a store in memory. See records.Store for its methods.
type Store struct {
	limits records.Limits
	// trees are what there was at the last Sync and after each write since.
	trees     []*node
	versions  []uint64 // of the writes since
	discarded uint64   // of versions up to this only the newest remain
	closed    bool
}

// New returns an empty store whose writes have limits.
func New(l records.Limits) *Store { return &Store{limits: l, trees: []*node{nil}} }

// Clone returns a store that is as this one is, and goes its own way from here on. It
// takes time in proportion to Unsynced only.
func (s *Store) Clone() *Store {
	c := *s
	c.trees, c.versions = slices.Clone(s.trees), slices.Clone(s.versions)
	return &c
}

// Unsynced returns how many writes a crash may take away.
func (s *Store) Unsynced() int { return len(s.trees) - 1 }

// Dirty reports whether a crash may take away a write of a version up to one.
func (s *Store) Dirty(upTo uint64) bool {
	return slices.ContainsFunc(s.versions, func(v uint64) bool { return v <= upTo })
}

// Crash takes away all but the first writes since the last Sync, of which it leaves
// as many as keep says, at most Unsynced. The store is as if it had just been opened;
// after a Close that is all it does.
func (s *Store) Crash(keep int) {
	s.trees, s.versions = []*node{s.trees[keep]}, nil
	s.discarded, s.closed = 0, false
}

// SyncFirst makes the first writes since the last Sync durable, as a Sync does that
// began when there were as many.
func (s *Store) SyncFirst(writes int) error {
	if s.closed {
		return ErrClosed
	}
	s.trees, s.versions = slices.Clone(s.trees[writes:]), slices.Clone(s.versions[writes:])
	return nil
}

// present returns the newest tree.
func (s *Store) present() *node { return s.trees[len(s.trees)-1] }

// Limits implements records.Store.
func (s *Store) Limits() records.Limits { return s.limits }

// Get implements records.Store. A version that was discarded is not found.
func (s *Store) Get(key []byte, upTo uint64) ([]byte, uint64, error) {
	if s.closed {
		return nil, 0, ErrClosed
	}
	n := s.present().find(key)
	if n == nil {
		return nil, 0, records.ErrNotFound
	}
	v := n.upTo(upTo, s.discarded)
	if v == nil || v.deleted {
		return nil, 0, records.ErrNotFound
	}
	return append([]byte{}, v.value...), v.number, nil
}

// Scan implements records.Store.
func (s *Store) Scan(r records.Range) iter.Seq2[records.Item, error] {
	return func(yield func(records.Item, error) bool) {
		if s.closed {
			yield(records.Item{}, ErrClosed)
			return
		}
		s.present().walk(&r, func(n *node) bool {
			v := &n.versions[len(n.versions)-1]
			if v.deleted {
				return true
			}
			item := records.Item{Key: slices.Clone(n.key), Version: v.number}
			if !r.KeysOnly {
				item.Value = append([]byte{}, v.value...)
			}
			return yield(item, nil)
		})
	}
}

// Write implements records.Store.
func (s *Store) Write(at uint64, changes []records.Change) error {
	if s.closed {
		return ErrClosed
	}
	if !s.limits.Fits(changes) {
		return fmt.Errorf("write the store: %w: %d changes", records.ErrTooLarge, len(changes))
	}
	tree := s.present()
	for i := range changes {
		c := &changes[i]
		tree = tree.put(c.Key, version{at, slices.Clone(c.Value), c.Delete}, s.discarded)
	}
	s.trees, s.versions = append(s.trees, tree), append(s.versions, at)
	return nil
}

// Discard implements records.Store.
func (s *Store) Discard(upTo uint64) { s.discarded = upTo }

// Drop implements records.Store.
func (s *Store) Drop(prefix []byte) error {
	if s.closed {
		return ErrClosed
	}
	s.trees, s.versions = []*node{s.present().without(prefix)}, nil
	return nil
}

// Reclaim implements records.Store. There is never anything to do.
func (s *Store) Reclaim() (more bool, err error) { return false, nil }

// Sync implements records.Store.
func (s *Store) Sync() error { return s.SyncFirst(s.Unsynced()) }

// Close implements records.Store. Crash opens the store again.
func (s *Store) Close() error {
	err := s.Sync()
	s.closed = true
	return err
}
