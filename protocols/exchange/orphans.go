package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/block"
)

const (
	// orphanDelay is the pause between rounds of looking up blocks that none of
	// the providers holds; it doubles while nothing is found.
	orphanDelay    = 250 * time.Millisecond
	maxOrphanDelay = 30 * time.Second
	// lookupTimeout bounds the search for one block.
	lookupTimeout = 30 * time.Second
	// maxLookupPeers bounds the providers of one block that are asked for it.
	maxLookupPeers = 4
)

// errNobody is returned for a block that nobody was found to have.
var errNobody = errors.New("nobody has it")

// orphans looks up, one by one, the blocks that none of the providers holds.
func (f *fetch) orphans(ctx context.Context) error {
	delay := orphanDelay
	for {
		pause := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
		if f.roster.serving() == 0 && !f.roster.searchedOnce() {
			continue // providers of the root come first
		}
		brought, err := f.lookUp(ctx, f.sched.claimOrphans(4*f.x.cfg.Limits.Lookups))
		if err != nil {
			return err
		}
		if delay = min(2*delay, maxOrphanDelay); brought > 0 {
			delay = orphanDelay
		}
	}
}

// lookUp brings claimed ordinals, a few at a time, and returns how many came.
func (f *fetch) lookUp(ctx context.Context, ordinals []int) (int, error) {
	var (
		g       errgroup.Group
		mu      sync.Mutex
		brought int
	)
	g.SetLimit(f.x.cfg.Limits.Lookups)
	for _, o := range ordinals {
		g.Go(func() error {
			id, _ := f.index.At(o)
			b, info, err := f.x.lookUp(ctx, id)
			good := err == nil
			if good {
				m := f.roster.add(f.x.sight(info, found), time.Now())
				good = f.accept(ctx, goodBlock{b: b}, m)
				f.held.Add(int64(b.Len()))
				f.offer(ctx, found, info) // it may have more
			}
			f.sched.release(o, good)
			if good {
				mu.Lock()
				brought++
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // no function of the group returns an error
	return brought, ctx.Err()
}

// lookUp searches for providers of one block and fetches it from the first that brings
// it. The next one found is asked when the one before lacks it, or takes longer than
// HedgeDelay, which doubles: one that drips must not use up the time of all.
func (x *Exchange) lookUp(ctx context.Context, id block.ID) (block.Block, peer.AddrInfo, error) {
	l := &lookup{x: x, id: id, answers: make(chan lookedUp, maxLookupPeers)}
	defer l.asking.Wait()
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	delay := x.cfg.Limits.HedgeDelay
	for info, err := range x.finder.FindProviders(ctx, id) {
		if err != nil {
			l.failure = errors.Join(l.failure, err)
			continue
		}
		if info.ID == x.host.ID() {
			continue
		}
		l.ask(ctx, info)
		if l.await(delay) || l.asked == maxLookupPeers {
			break
		}
		delay *= 2
	}
	for l.found == nil && l.running > 0 {
		l.await(lookupTimeout) // which ctx is done before
	}
	switch {
	case l.found != nil:
		return l.found.b, l.found.from, nil
	case l.failure == nil:
		l.failure = errNobody
	}
	return block.Block{}, peer.AddrInfo{}, fmt.Errorf("block %s: %w", id, l.failure)
}

// lookup is one lookUp.
type lookup struct {
	x       *Exchange
	id      block.ID
	asking  sync.WaitGroup
	answers chan lookedUp // has room for all
	asked   int
	running int
	found   *lookedUp
	failure error
}

// lookedUp is what one peer answered.
type lookedUp struct {
	b    block.Block
	from peer.AddrInfo
	err  error
}

func (l *lookup) ask(ctx context.Context, info peer.AddrInfo) {
	l.asked++
	l.running++
	l.asking.Go(func() {
		a := lookedUp{from: info}
		var blocks []block.Block
		if blocks, a.err = l.x.request(ctx, info, []block.ID{l.id}); len(blocks) == 1 {
			a.b, a.err = blocks[0], nil
		}
		l.answers <- a
	})
}

// await waits for one answer, but not for longer than most, and reports whether the block
// is there.
func (l *lookup) await(most time.Duration) bool {
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case a := <-l.answers:
		l.running--
		switch {
		case a.err == nil:
			l.found = &a
		case !errors.Is(a.err, errNobody):
			l.failure = errors.Join(l.failure, fmt.Errorf("%s: %w", a.from.ID, a.err))
		}
	case <-late.C:
	}
	return l.found != nil
}

// request asks one peer for blocks and returns those that came, verified, in
// the order of ids. The error says why some did not; it is errNobody when the
// peer just lacks them. A peer that is busy is asked again.
func (x *Exchange) request(ctx context.Context, info peer.AddrInfo, ids []block.ID) ([]block.Block, error) {
	for attempt := 0; ; attempt++ {
		blocks, err := x.requestOnce(ctx, info, ids)
		if !errors.Is(err, codeBusy) || attempt >= x.cfg.Limits.Retries {
			return blocks, err
		}
		select {
		case <-time.After(x.cfg.Limits.RetryDelay << min(attempt, 16)):
		case <-ctx.Done():
			return blocks, ctx.Err()
		}
	}
}

func (x *Exchange) requestOnce(ctx context.Context, info peer.AddrInfo, ids []block.ID) ([]block.Block, error) {
	c, err := x.open(ctx, info, block.MaxSize)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var blocks []block.Block
	err = c.blocks(1, ids, func(_ int, b block.Block) error {
		blocks = append(blocks, b)
		x.observer.Fetched(info.ID, b.Len())
		return nil
	})
	if isHostile(err) {
		x.observer.Dropped(info.ID, err)
	}
	if err == nil && len(blocks) < len(ids) {
		err = errNobody
	}
	return blocks, err
}
