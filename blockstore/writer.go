package blockstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/pack"
)

// WriteStats counts what was added. Bytes are those of the blocks themselves.
type WriteStats struct {
	Blocks    int64 // all that were added
	Bytes     int64
	NewBlocks int64 // of these, the ones that the store did not hold
	NewBytes  int64
	NewRaw    int64 // of the new blocks, those with the codec raw: chunks
}

// Writer is a write session. While it is open, no collection takes what it
// touched or added, so a snapshot's blocks stay until its root is pinned. A
// session that is left open keeps a growing amount of garbage alive: close it.
// It is safe for concurrent use.
type Writer struct {
	s       *Store
	session *session
	st      *stream

	mu      sync.Mutex
	stats   WriteStats // New* come from the stream
	refused error      // space ran out: adding is over
	closed  bool
}

// NewWriter begins a write session.
func (s *Store) NewWriter(ctx context.Context) (*Writer, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	return &Writer{s: s, session: s.epochs.begin(), st: s.newStream()}, nil
}

func (w *Writer) use(ctx context.Context) error {
	if err := w.s.use(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		w.s.gate.leave()
		return fmt.Errorf("%w: the writer", ErrClosed)
	}
	return nil
}

// Touch reports for each block whether it is held or was added in this session,
// and protects those from collection until the session is closed. A block that
// was added but not flushed counts as held. On an error nothing is said.
func (w *Writer) Touch(ctx context.Context, ids []block.ID) ([]bool, error) {
	if err := w.use(ctx); err != nil {
		return nil, err
	}
	defer w.s.gate.leave()
	held := make([]bool, len(ids))
	for i, id := range ids {
		held[i] = w.st.holds(id.Digest())
	}
	if err := w.s.touch(ids, held, w.session.start); err != nil {
		return nil, err
	}
	return held, nil
}

// Add takes a block, unless the store holds it already. release, if not nil, is
// called exactly once, before Add returns, when b's bytes are no longer needed,
// also on an error. The block is durable after the next Flush; the writer
// flushes on its own every Config.FlushEvery bytes. Add waits for the disk when
// the writer's buffers are full, until ctx ends. After ErrNoSpace and ErrQuota
// the writer takes no more blocks, but Flush still saves those it took.
func (w *Writer) Add(ctx context.Context, b block.Block, release func()) error {
	if release != nil {
		defer release()
	}
	if b.ID().IsZero() {
		return fmt.Errorf("add a block: %w", errZeroBlock)
	}
	if err := w.use(ctx); err != nil {
		return err
	}
	defer w.s.gate.leave()
	held := []bool{w.st.holds(b.ID().Digest())}
	if err := w.s.touch([]block.ID{b.ID()}, held, w.session.start); err != nil {
		return err
	}
	if !held[0] {
		if err := w.add(ctx, b); err != nil {
			return fmt.Errorf("add %s: %w", b.ID(), err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Blocks++
	w.stats.Bytes += int64(b.Len())
	return nil
}

func (w *Writer) add(ctx context.Context, b block.Block) error {
	w.mu.Lock()
	refused := w.refused
	w.mu.Unlock()
	if refused != nil {
		return refused
	}
	err := w.st.add(ctx, b)
	if isRefusal(err) {
		w.mu.Lock()
		w.refused = err
		w.mu.Unlock()
	}
	return err
}

// Flush makes everything durable that was added before the call, and returns
// what the session added so far. After an error other than one of ctx, what was
// added since the last flush must be taken as lost, and the writer as broken.
func (w *Writer) Flush(ctx context.Context) (WriteStats, error) {
	if err := w.use(ctx); err != nil {
		return WriteStats{}, err
	}
	defer w.s.gate.leave()
	w.mu.Lock()
	stats := w.stats
	w.mu.Unlock()
	// Blocks that others stored may be visible but not durable yet.
	err := w.st.commit()
	if err == nil {
		err = w.s.ix.sync()
	}
	if err != nil {
		return WriteStats{}, fmt.Errorf("flush: %w", err)
	}
	w.st.mu.Lock()
	defer w.st.mu.Unlock()
	stats.NewBlocks, stats.NewBytes, stats.NewRaw = w.st.fresh.NewBlocks, w.st.fresh.NewBytes, w.st.fresh.NewRaw
	return stats, nil
}

// Close ends the session. What was added and not flushed may be lost; what was
// touched is no longer protected. Closing twice is allowed.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	w.mu.Unlock()
	defer w.s.epochs.end(w.session)
	if err := w.s.gate.enter(); err != nil {
		return nil // the store was closed before, and has given the stream up
	}
	defer w.s.gate.leave()
	return w.st.close()
}

// Put stores blocks; they are durable when it returns nil. Calls made at the same
// time share their commits. A block is safe from collection only if a pin leads
// to it: to store what is pinned afterwards, use a Writer.
func (s *Store) Put(ctx context.Context, blocks ...block.Block) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	session := s.epochs.begin()
	defer s.epochs.end(session)
	ids := make([]block.ID, len(blocks))
	for i, b := range blocks {
		if b.ID().IsZero() {
			return fmt.Errorf("put a block: %w", errZeroBlock)
		}
		ids[i] = b.ID()
	}
	held := make([]bool, len(ids))
	if err := s.touch(ids, held, session.start); err != nil {
		return err
	}
	st := s.sharedStream()
	for i, b := range blocks {
		if held[i] {
			continue
		}
		if err := st.add(ctx, b); err != nil {
			return fmt.Errorf("put %s: %w", b.ID(), err)
		}
	}
	if err := st.commit(); err != nil {
		return fmt.Errorf("put %d blocks: %w", len(blocks), err)
	}
	return s.ix.sync()
}

// relocate stores a block anew that is at a place where its record is damaged. The
// entry changes to the new place after the bytes there are durable, so whatever
// happens meanwhile, it refers to bytes that are right; the old place is freed by the
// next collection. Whoever reads there when that happens asks the index again.
func (s *Store) relocate(ctx context.Context, b block.Block, from pack.Loc) error {
	st := s.sharedStream()
	if err := st.addInstead(ctx, b, from); err != nil {
		return err
	}
	if err := st.commit(); err != nil {
		return err
	}
	return s.ix.sync()
}

// sharedStream returns the stream of all Puts, a new one after a failure.
func (s *Store) sharedStream() *stream {
	s.streamMu.Lock()
	st := s.shared
	s.streamMu.Unlock()
	if st != nil {
		st.mu.Lock()
		ok := st.failed == nil
		st.mu.Unlock()
		if ok {
			return st
		}
		if err := st.close(); err != nil {
			s.log.Warn("give up a pack after a failed write", "error", err)
		}
	}
	next := s.newStream()
	s.streamMu.Lock()
	defer s.streamMu.Unlock()
	if s.shared != st {
		delete(s.streams, next) // somebody else was faster; this one is empty
		return s.shared
	}
	s.shared = next
	return next
}

// touchBatch bounds how long the index is locked for one touch.
const touchBatch = 4096

// touch sets held for each block that is in the index, and stamps those whose
// stamp is older than the session that began at start.
func (s *Store) touch(ids []block.ID, held []bool, start uint32) error {
	for at := 0; at < len(ids); at += touchBatch {
		end := min(at+touchBatch, len(ids))
		if err := s.touchSome(ids[at:end], held[at:end], start); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) touchSome(ids []block.ID, held []bool, start uint32) error {
	keys := blockKeys(len(ids), func(i int) block.Digest { return ids[i].Digest() })
	var stale []int
	err := s.ix.lookupMany(keys, func(i int, e entry) {
		if e.stamp >= start {
			held[i] = true // no collection can take it any more
		} else {
			stale = append(stale, i)
		}
	})
	if err != nil || len(stale) == 0 {
		return err
	}
	return s.stampAll(keys, stale, held)
}

// stampAll stamps entries with the current epoch. They are looked up again: a
// sweep may have taken them since.
//
// No stamp needs to survive a crash, which ends all sessions. So on a full disk, where
// the index cannot be written, stamps are kept in memory: what is there can be
// restored without a free byte.
func (s *Store) stampAll(keys [][]byte, which []int, held []bool) error {
	roomy := s.space.roomy()
	again := make([][]byte, len(which))
	for i, k := range which {
		again[i] = keys[k]
	}
	s.ix.change.Lock()
	defer s.ix.change.Unlock()
	batch := &kv.Batch{}
	now := s.epochs.now()
	err := s.ix.lookupMany(again, func(i int, e entry) {
		held[which[i]] = true
		e.stamp = max(e.stamp, now)
		if !roomy {
			s.ix.unwritten.set(again[i], e.stamp)
			return
		}
		batch.Set(again[i], e.append(nil))
	})
	if err != nil {
		return err
	}
	return s.ix.apply(batch)
}
