package memstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// Writer is a write session. Blocks are held from Flush on, as in the real store.
type Writer struct {
	s       *Store
	start   uint32
	closed  bool // guarded by Store.mu, as is all below
	pending map[block.Digest]block.Block
	stats   blockstore.WriteStats
}

// NewWriter implements the contract.
func (s *Store) NewWriter(ctx context.Context) (*Writer, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	w := &Writer{s: s, start: s.epoch, pending: map[block.Digest]block.Block{}}
	s.writers[w] = struct{}{}
	return w, nil
}

func (w *Writer) use(ctx context.Context) error {
	if err := w.s.use(ctx); err != nil {
		return err
	}
	if w.closed {
		w.s.mu.Unlock()
		return fmt.Errorf("%w: the writer", blockstore.ErrClosed)
	}
	return nil
}

// Touch implements the contract.
func (w *Writer) Touch(ctx context.Context, ids []block.ID) ([]bool, error) {
	if err := w.use(ctx); err != nil {
		return nil, err
	}
	defer w.s.mu.Unlock()
	held := make([]bool, len(ids))
	for i, id := range ids {
		held[i] = w.touch(id.Digest())
	}
	return held, nil
}

func (w *Writer) touch(d block.Digest) bool {
	if b := w.s.blocks[d]; b != nil {
		b.stamp = w.s.epoch
		return true
	}
	_, ok := w.pending[d]
	return ok
}

// Add implements the contract.
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
	defer w.s.mu.Unlock()
	w.stats.Blocks++
	w.stats.Bytes += int64(b.Len())
	if w.touch(b.ID().Digest()) {
		return nil
	}
	mine, err := block.Check(b.ID(), append([]byte{}, b.Data()...))
	if err != nil {
		return err
	}
	w.pending[b.ID().Digest()] = mine
	return nil
}

// Flush implements the contract.
func (w *Writer) Flush(ctx context.Context) (blockstore.WriteStats, error) {
	if err := w.use(ctx); err != nil {
		return blockstore.WriteStats{}, err
	}
	defer w.s.mu.Unlock()
	for _, b := range w.pending {
		if w.s.put(b) {
			w.stats.NewBlocks++
			w.stats.NewBytes += int64(b.Len())
			if b.ID().Codec() == block.Raw {
				w.stats.NewRaw++
			}
		}
	}
	clear(w.pending)
	return w.stats, nil
}

// Close implements the contract.
func (w *Writer) Close() error {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.closed = true
	delete(w.s.writers, w)
	return nil
}

// GC implements the contract.
func (s *Store) GC(ctx context.Context, opts blockstore.GCOptions) (blockstore.GCResult, error) {
	if opts.Mark == nil {
		return blockstore.GCResult{}, errors.New("collect garbage: Mark is required")
	}
	res, err := s.begin(ctx, opts.DryRun)
	if err != nil {
		return res, err
	}
	marked := map[block.Digest]bool{}
	for pin, err := range s.Pins(ctx) {
		if err != nil {
			return res, err
		}
		res.Pins++
		marked[pin.Root.Digest()] = true
		err := opts.Mark(ctx, pin, func(id block.ID) bool {
			marked[id.Digest()] = true
			return ctx.Err() == nil
		})
		if err != nil {
			return res, fmt.Errorf("mark what pin %s leads to: %w", pin.Root, err)
		}
	}
	if err := s.use(ctx); err != nil {
		return res, err
	}
	gone := s.sweep(marked, &res)
	s.mu.Unlock()
	if opts.Removed != nil && len(gone) > 0 {
		opts.Removed(ctx, gone)
	}
	return res, nil
}

// begin starts an epoch and learns the threshold.
func (s *Store) begin(ctx context.Context, dry bool) (res blockstore.GCResult, err error) {
	if err := s.use(ctx); err != nil {
		return res, err
	}
	defer s.mu.Unlock()
	res.DryRun, res.Epoch = dry, s.epoch+1
	for w := range s.writers {
		res.Epoch = min(res.Epoch, w.start)
	}
	if !dry {
		s.epoch++
	}
	return res, nil
}

// sweep returns what it deleted. mu is held.
func (s *Store) sweep(marked map[block.Digest]bool, res *blockstore.GCResult) (gone []block.ID) {
	for d, b := range s.blocks {
		n := int64(len(b.data))
		if recent := b.stamp >= res.Epoch; marked[d] || recent {
			res.KeptBlocks++
			res.KeptBytes += n
			if !marked[d] {
				res.KeptRecent++
			}
			continue
		}
		res.SweptBlocks++
		res.SweptBytes += n
		res.FreedBytes += n
		if !res.DryRun {
			delete(s.blocks, d)
			gone = append(gone, block.MakeID(b.codec, d))
		}
	}
	res.Quarantined = int64(len(s.quarantined))
	if !res.DryRun {
		clear(s.quarantined)
	}
	return gone
}
