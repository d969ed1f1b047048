package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/block"
)

// MissingError lists the blocks that FetchBlocks could not find. It is an
// ErrNoProviders.
type MissingError struct {
	Missing  []block.ID
	Failures []error // what went wrong, of some of them
}

func (e *MissingError) Error() string {
	msg := fmt.Sprintf("%v for %d blocks, the first %s", ErrNoProviders, len(e.Missing), e.Missing[0])
	if err := errors.Join(e.Failures...); err != nil {
		msg += ": " + err.Error()
	}
	return msg
}

// Unwrap makes the error an ErrNoProviders and each failure.
func (e *MissingError) Unwrap() []error { return append([]error{ErrNoProviders}, e.Failures...) }

// FetchBlocks fetches single blocks that the store lacks, or holds damaged and
// has quarantined, and returns once they are durable. It asks connected peers
// first, then looks up the rest one by one. Blocks that nobody has are listed in
// a *MissingError; the others are stored all the same.
func (x *Exchange) FetchBlocks(ctx context.Context, ids []block.ID) error {
	w, err := x.store.NewWriter(ctx)
	if err != nil {
		return fmt.Errorf("exchange: fetch %d blocks: %w", len(ids), err)
	}
	if err := errors.Join(x.fetchBlocks(ctx, w, ids), w.Close()); err != nil {
		return fmt.Errorf("exchange: fetch %d blocks: %w", len(ids), err)
	}
	return nil
}

func (x *Exchange) fetchBlocks(ctx context.Context, w Writer, ids []block.ID) error {
	has, err := w.Touch(ctx, ids)
	if err != nil {
		return err
	}
	g := &gathering{x: x, w: w, missing: make(map[block.ID]struct{})}
	for i, id := range ids {
		if !has[i] {
			g.missing[id] = struct{}{}
		}
	}
	err = errors.Join(g.askConnected(ctx), g.lookUp(ctx))
	if err = errors.Join(err, w.Flush(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	if left := g.left(); len(left) > 0 {
		return &MissingError{Missing: left, Failures: g.failures}
	}
	return nil
}

// gathering is one FetchBlocks.
type gathering struct {
	x *Exchange

	mu       sync.Mutex // also orders the calls of w
	w        Writer
	missing  map[block.ID]struct{}
	failures []error
}

// maxFailures bounds the failures that an error lists.
const maxFailures = 4

func (g *gathering) left() []block.ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := make([]block.ID, 0, len(g.missing))
	for id := range g.missing {
		left = append(left, id)
	}
	slices.SortFunc(left, func(a, b block.ID) int { return slices.Compare(a.Bytes(), b.Bytes()) })
	return left
}

// got stores a block, unless it came before.
func (g *gathering) got(ctx context.Context, b block.Block) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, wanted := g.missing[b.ID()]; !wanted {
		return nil
	}
	if err := g.w.Add(ctx, b, nil); err != nil {
		return fmt.Errorf("store %s: %w", b.ID(), err)
	}
	delete(g.missing, b.ID())
	return nil
}

func (g *gathering) failed(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.failures) < maxFailures && !errors.Is(err, errNobody) {
		g.failures = append(g.failures, err)
	}
}

// askConnected asks connected peers, one after the other, for what is missing.
// Only the store's error is returned.
func (g *gathering) askConnected(ctx context.Context) error {
	connected := g.x.connected()
	for _, info := range connected[:min(len(connected), g.x.cfg.Limits.ConnectedPeers)] {
		for ids := range slices.Chunk(g.left(), MaxBlocks) {
			if err := g.ask(ctx, info, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask asks one peer, which has Patience for each block: the next one may have them.
func (g *gathering) ask(ctx context.Context, info peer.AddrInfo, ids []block.ID) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	timeout := g.x.cfg.Limits.Patience
	slow := time.AfterFunc(timeout, func() { giveUp(errTooSlow) })
	defer slow.Stop()
	c, err := g.x.open(ctx, info, block.MaxSize)
	if err != nil {
		g.failed(fmt.Errorf("%s: %w", info.ID, err))
		return nil
	}
	defer c.close()
	var stored error
	err = c.blocks(1, ids, func(_ int, b block.Block) error {
		g.x.observer.Fetched(info.ID, b.Len())
		slow.Stop() // the store takes its own time
		stored = g.got(ctx, b)
		slow.Reset(timeout)
		return stored
	})
	if isHostile(err) {
		g.x.observer.Dropped(info.ID, err)
	}
	if errors.Is(context.Cause(ctx), errTooSlow) {
		err = errTooSlow
	}
	if err != nil && stored == nil {
		g.failed(fmt.Errorf("%s: %w", info.ID, err))
	}
	return stored
}

// lookUp searches for each block that is still missing.
func (g *gathering) lookUp(ctx context.Context) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(g.x.cfg.Limits.Lookups)
	for _, id := range g.left() {
		group.Go(func() error {
			b, _, err := g.x.lookUp(gctx, id)
			if err != nil {
				g.failed(err)
				return ctx.Err()
			}
			return g.got(gctx, b)
		})
	}
	return group.Wait()
}
