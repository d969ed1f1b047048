package blockstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/pack"
)

// stream appends blocks to one pack at a time and commits them in groups. Blocks
// may be added while a commit is under way; those who wait for a commit share
// the next one. It is safe for concurrent use.
type stream struct {
	s *Store

	commitMu sync.Mutex // held through a commit; taken before mu

	mu         sync.Mutex
	app        *pack.Appender // nil before the first block
	list       []pendingBlock // added since the last cut
	pending    map[block.Digest]struct{}
	committing map[block.Digest]struct{} // cut, not committed yet
	bytes      int64                     // in list
	added      uint64                    // blocks so far
	committed  uint64                    // of these
	failed     error                     // nothing more can be stored
	closed     bool
	fresh      WriteStats // of what is committed, New* only
}

// pendingBlock is in a pack but not in the index.
type pendingBlock struct {
	id  block.ID
	loc pack.Loc
	// instead is the place that loc replaces, of a block that is held already; zero
	// for all others.
	instead pack.Loc
}

func (s *Store) newStream() *stream {
	st := &stream{s: s, pending: map[block.Digest]struct{}{}}
	s.streamMu.Lock()
	defer s.streamMu.Unlock()
	s.streams[st] = struct{}{}
	return st
}

// add copies the block; it becomes durable with the next commit. A block that is
// pending already is not added again.
func (st *stream) add(ctx context.Context, b block.Block) error {
	return st.addInstead(ctx, b, pack.Loc{})
}

// addInstead is add for a block that is to leave the place that it has.
func (st *stream) addInstead(ctx context.Context, b block.Block, instead pack.Loc) error {
	for {
		full, pendingBytes, err := st.tryAdd(ctx, b, instead)
		if err != nil {
			return err
		}
		switch {
		case full:
			if err := st.roll(); err != nil {
				return err
			}
		case pendingBytes >= st.s.cfg.FlushEvery:
			return st.commit()
		default:
			return nil
		}
	}
}

func (st *stream) tryAdd(ctx context.Context, b block.Block, instead pack.Loc) (full bool, pendingBytes int64, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.failed != nil:
		return false, 0, st.failed
	case st.closed:
		return false, 0, ErrClosed
	case st.s.ro:
		return false, 0, ErrReadOnly
	case st.has(b.ID().Digest()):
		return false, 0, nil
	}
	if st.app == nil {
		if st.app, err = st.s.packs.Lease(); err != nil {
			return false, 0, st.s.space.explain(err)
		}
	}
	loc, err := st.app.Append(ctx, b)
	if errors.Is(err, pack.ErrFull) {
		return true, 0, nil
	}
	if err != nil {
		return false, 0, st.s.space.explain(err)
	}
	st.list = append(st.list, pendingBlock{b.ID(), loc, instead})
	st.pending[b.ID().Digest()] = struct{}{}
	st.bytes += int64(b.Len())
	st.added++
	return false, st.bytes, nil
}

// has reports whether a block was added and is not in the index yet. mu is held.
func (st *stream) has(d block.Digest) bool {
	if _, ok := st.pending[d]; ok {
		return true
	}
	_, ok := st.committing[d]
	return ok
}

func (st *stream) holds(d block.Digest) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.has(d)
}

// commit makes everything durable that was added before the call.
func (st *stream) commit() error {
	st.mu.Lock()
	target := st.added
	st.mu.Unlock()
	st.commitMu.Lock()
	defer st.commitMu.Unlock()
	return st.commitLocked(target)
}

// commitLocked cuts, syncs the pack, then commits the index. commitMu is held.
func (st *stream) commitLocked(target uint64) error {
	began := time.Now()
	st.mu.Lock()
	if st.committed >= target || st.failed != nil {
		defer st.mu.Unlock()
		if st.committed >= target {
			return nil
		}
		return st.failed
	}
	app, list, bytes, cut := st.app, st.list, st.bytes, st.added
	st.committing, st.pending = st.pending, map[block.Digest]struct{}{}
	st.list, st.bytes = nil, 0
	end := app.Cut()
	st.mu.Unlock()

	fresh, err := WriteStats{}, app.Sync()
	if err == nil {
		// From here on entries may become visible, whatever happens: the place
		// counts as used even when the commit fails.
		fresh, err = st.s.commitEntries(app.Pack(), end, list)
		app.Committed(end)
	}

	st.mu.Lock()
	defer st.mu.Unlock()
	st.committing = nil
	if err != nil {
		st.failed = st.s.space.explain(err)
		return st.failed
	}
	st.committed = cut
	st.fresh.NewBlocks += fresh.NewBlocks
	st.fresh.NewBytes += fresh.NewBytes
	st.fresh.NewRaw += fresh.NewRaw
	st.s.obs.Flushed(len(list), bytes, time.Since(began))
	return nil
}

// roll seals a full pack, so that the next block goes to another one.
func (st *stream) roll() error {
	st.commitMu.Lock()
	defer st.commitMu.Unlock()
	st.mu.Lock()
	target, app := st.added, st.app
	st.mu.Unlock()
	if err := st.commitLocked(target); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	// Others may have rolled, or added what still fitted, in the meantime.
	if st.app != app || st.added != st.committed || st.app == nil {
		return nil
	}
	st.app = nil
	return app.Release(true)
}

// close gives the pack back. What was not committed is lost.
func (st *stream) close() error {
	st.commitMu.Lock()
	defer st.commitMu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return nil
	}
	st.closed = true
	st.s.streamMu.Lock()
	delete(st.s.streams, st)
	st.s.streamMu.Unlock()
	if st.app == nil {
		return nil
	}
	app := st.app
	st.app = nil
	return app.Release(st.failed != nil)
}

// commitEntries makes the blocks of a pack durable in the index, and counts those that
// were new. A block that somebody else stored meanwhile
// keeps its old place; the new one is freed by the next collection.
func (s *Store) commitEntries(packID uint32, end int64, list []pendingBlock) (fresh WriteStats, err error) {
	if err := s.space.checkIndex(); err != nil {
		return WriteStats{}, err
	}
	keys := blockKeys(len(list), func(i int) block.Digest { return list[i].id.Digest() })
	s.ix.change.Lock()
	fresh, err = s.applyEntries(packID, end, list, keys)
	s.ix.change.Unlock()
	if err != nil {
		return WriteStats{}, err
	}
	return fresh, s.ix.sync()
}

// applyEntries does the part of commitEntries for which ix.change is held.
func (s *Store) applyEntries(packID uint32, end int64, list []pendingBlock, keys [][]byte) (fresh WriteStats, err error) {
	held := make([]*entry, len(list))
	if err := s.ix.lookupMany(keys, func(i int, e entry) { held[i] = &e }); err != nil {
		return WriteStats{}, err
	}
	stamp := s.epochs.now()
	vals := make([]byte, 0, len(list)*entrySize)
	batch := &kv.Batch{Ops: make([]kv.Op, 0, len(list)+1)}
	// The pack's end goes first: an entry is never visible without it.
	batch.Set(packKey(packID), appendState(nil, pack.State{End: end}))
	for i, p := range list {
		e := entry{codec: p.id.Codec(), stamp: stamp, loc: p.loc}
		moves := p.instead != pack.Loc{}
		switch old := held[i]; {
		case old == nil && moves:
			continue // collected, or in quarantine, in the meantime
		case old == nil:
			fresh.NewBlocks++
			fresh.NewBytes += int64(p.loc.Len)
			if p.id.Codec() == block.Raw {
				fresh.NewRaw++
			}
		case moves && old.loc == p.instead:
			e.codec, e.stamp = old.codec, max(old.stamp, stamp)
		case old.stamp >= stamp:
			continue
		default:
			e.codec, e.loc = old.codec, old.loc
		}
		at := len(vals)
		vals = e.append(vals)
		batch.Set(keys[i], vals[at:len(vals):len(vals)])
	}
	if err := s.ix.apply(batch); err != nil {
		return WriteStats{}, err
	}
	s.counts.add(fresh.NewBlocks, fresh.NewBytes)
	return fresh, nil
}
