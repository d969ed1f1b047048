package exchange

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
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

// askConnected asks connected peers for what is missing: one, and another beside it each
// HedgeDelay while nothing comes. Only the store's error is returned.
func (g *gathering) askConnected(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	asked := make(chan error)
	delay := g.x.cfg.Limits.HedgeDelay
	look := time.NewTicker(delay)
	defer look.Stop()
	var failed error
	var came atomic.Int64
	hedge := newHedge(g.x.cfg.Limits, 0)
	running, another := 0, true
	for next := range g.x.acquaintances() {
		for !another && running > 0 && failed == nil {
			select {
			case err := <-asked:
				running--
				another = true
				failed = errors.Join(failed, err)
			case <-look.C:
				another = hedge.another(came.Load())
			}
		}
		ids := g.left()
		if len(ids) == 0 || failed != nil {
			break
		}
		running++
		another = false
		look.Reset(delay)
		go func() { asked <- g.askFor(ctx, next, ids, &came) }()
	}
	for idle := time.Duration(0); running > 0; {
		select {
		case err := <-asked:
			running--
			if failed = errors.Join(failed, err); failed != nil || len(g.left()) == 0 {
				giveUp(nil)
			}
		case <-look.C:
			if idle += delay; !hedge.another(came.Load()) {
				idle = 0
			}
			if idle >= g.x.cfg.Limits.Quiet {
				giveUp(errLate) // those that a search finds may be better
			}
		}
	}
	return failed
}

// acquaintances yields connected peers in the order in which they are to be asked, at most
// ConnectedPeers of them.
func (x *Exchange) acquaintances() iter.Seq[peer.AddrInfo] {
	limits := x.cfg.Limits
	limits.Probes = limits.ConnectedPeers
	t := newTable(limits, x.conduct)
	now := time.Now()
	for _, info := range x.connected() {
		s := x.sight(info, connected)
		t.offer(s.info, s.at, s.rank, now)
	}
	return func(yield func(peer.AddrInfo) bool) {
		for _, m := range t.decide(now).begin {
			if !yield(m.info) {
				return
			}
		}
	}
}

// askFor asks one peer for blocks, MaxBlocks at a time, as long as it brings some.
func (g *gathering) askFor(ctx context.Context, info peer.AddrInfo, ids []block.ID, came *atomic.Int64) error {
	for some := range slices.Chunk(ids, MaxBlocks) {
		if more, err := g.ask(ctx, info, some, came); err != nil || !more {
			return err
		}
	}
	return nil
}

// ask asks one peer, which has Patience for each block, and reports whether it may be asked
// for more.
func (g *gathering) ask(ctx context.Context, info peer.AddrInfo, ids []block.ID, came *atomic.Int64) (more bool, err error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	timeout := g.x.cfg.Limits.Patience
	slow := time.AfterFunc(timeout, func() { giveUp(errLate) })
	defer slow.Stop()
	c, err := g.x.open(ctx, info, block.MaxSize)
	if err != nil {
		g.failed(fmt.Errorf("%s: %w", info.ID, err))
		return false, nil
	}
	defer c.close()
	c.clock.came = func(n int, _ bool) { came.Add(int64(n)) }
	var stored error
	brought := 0
	err = c.blocks(1, ids, func(_ int, b block.Block) error {
		g.x.observer.Fetched(info.ID, b.Len())
		slow.Stop() // the store takes its own time
		stored = g.got(ctx, b)
		slow.Reset(timeout)
		brought++
		return stored
	})
	if errors.Is(context.Cause(ctx), errLate) {
		err = errLate
	}
	if stored != nil {
		return false, stored
	}
	g.x.judge(info, brought, err)
	if err != nil {
		g.failed(fmt.Errorf("%s: %w", info.ID, err))
	}
	return err == nil, nil
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
