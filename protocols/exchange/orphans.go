package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	maxLookupPeers = 16
	// maxLookupFound bounds those that are looked at for it.
	maxLookupFound = 256
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
// it. The next one found is asked when the one before lacks it, or nothing comes for
// HedgeDelay: those that stall must not use up the time of all. Those of one prefix that
// are more than PeersPerPrefix are asked after all others.
func (x *Exchange) lookUp(ctx context.Context, id block.ID) (block.Block, peer.AddrInfo, error) {
	l := &lookup{x: x, id: id, answers: make(chan lookedUp, maxLookupPeers), of: map[group]int{}}
	defer l.asking.Wait()
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	search, enough := context.WithCancel(ctx)
	defer enough()
	l.enough = enough
	var later []peer.AddrInfo
	found := 0
	for info, err := range x.finder.FindProviders(search, id) {
		if search.Err() != nil {
			break
		}
		if err != nil {
			l.failure = errors.Join(l.failure, err)
			continue
		}
		if found++; found > maxLookupFound || l.asked == maxLookupPeers {
			break
		}
		if info.ID == x.host.ID() || x.conduct.of(info.ID, time.Now()).lied {
			continue
		}
		if !l.turn(info) {
			later = append(later, info)
			continue
		}
		l.ask(ctx, info)
	}
	for _, info := range later {
		if search.Err() == nil && l.asked < maxLookupPeers {
			l.ask(ctx, info)
		}
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
	enough  func()        // ends the search
	came    atomic.Int64  // bytes
	of      map[group]int // how many were asked
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

// turn reports whether a peer is to be asked before those of other prefixes are known.
func (l *lookup) turn(info peer.AddrInfo) bool {
	if !l.x.conduct.of(info.ID, time.Now()).until.IsZero() {
		return false
	}
	prefix := l.x.sight(info, found).at.prefix
	l.of[prefix]++
	return l.of[prefix] <= l.x.cfg.Limits.PeersPerPrefix
}

// ask asks one more peer, and waits for an answer for as long as another one may take.
func (l *lookup) ask(ctx context.Context, info peer.AddrInfo) {
	l.asked++
	l.running++
	l.asking.Go(func() {
		a := lookedUp{from: info}
		var blocks []block.Block
		if blocks, a.err = l.x.request(ctx, info, []block.ID{l.id}, &l.came); len(blocks) == 1 {
			a.b, a.err = blocks[0], nil
			l.enough()
		}
		l.answers <- a
	})
	delay := l.x.cfg.Limits.HedgeDelay
	for h := newHedge(l.x.cfg.Limits, l.came.Load()); ; {
		if l.await(delay) || h.another(l.came.Load()) {
			return
		}
	}
}

// await waits for one answer, but not for longer than most, and reports whether it came.
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
		return true
	case <-late.C:
		return false
	}
}

// judge remembers how a peer behaved that was asked for single blocks.
func (x *Exchange) judge(info peer.AddrInfo, brought int, err error) {
	at, now := x.sight(info, found).at, time.Now()
	switch {
	case isHostile(err):
		x.conduct.lied(info.ID, at, now)
		x.observer.Dropped(info.ID, err)
	case errors.Is(err, errStalled), errors.Is(err, errLate):
		x.conduct.stalled(info.ID, at, now)
	case brought > 0:
		x.conduct.delivered(info.ID, at, now)
	}
}

// request asks one peer for blocks and returns those that came, verified, in
// the order of ids. The error says why some did not; it is errNobody when the
// peer just lacks them. A peer that is busy is asked again. What comes is counted.
func (x *Exchange) request(ctx context.Context, info peer.AddrInfo, ids []block.ID, came *atomic.Int64) ([]block.Block, error) {
	for attempt := 0; ; attempt++ {
		blocks, err := x.requestOnce(ctx, info, ids, came)
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

func (x *Exchange) requestOnce(ctx context.Context, info peer.AddrInfo, ids []block.ID, came *atomic.Int64) ([]block.Block, error) {
	c, err := x.open(ctx, info, block.MaxSize)
	if err != nil {
		return nil, err
	}
	defer c.close()
	c.clock.came = func(n int, _ bool) { came.Add(int64(n)) }
	var blocks []block.Block
	err = c.blocks(1, ids, func(_ int, b block.Block) error {
		blocks = append(blocks, b)
		x.observer.Fetched(info.ID, b.Len())
		return nil
	})
	x.judge(info, len(blocks), err)
	if err == nil && len(blocks) < len(ids) {
		err = errNobody
	}
	return blocks, err
}
