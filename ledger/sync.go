package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// errBadSource is returned for what a peer should not have sent.
var errBadSource = errors.New("the peer's blocks are not the ledger's")

// syncHint says that others are ahead. Several hints are one.
type syncHint struct{ ch chan struct{} }

func newSyncHint() *syncHint { return &syncHint{make(chan struct{}, 1)} }

func (h *syncHint) hint() {
	select {
	case h.ch <- struct{}{}:
	default:
	}
}

// broadcast wakes all who wait, each time.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func newBroadcast() *broadcast { return &broadcast{ch: make(chan struct{})} }

// wait returns a channel that is closed by the next broadcast.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) broadcast() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}

const (
	// fetchPause is how long to wait before the next attempt when no peer had
	// anything.
	fetchPause = 250 * time.Millisecond
	// fetchTogether is how many blocks are verified and stored at a time.
	fetchTogether = 32
	// headPatience is how long peers have to say how far they are.
	headPatience = 2 * time.Second
	// watchInterval is how often a peer without news looks at others.
	watchInterval = 2 * time.Second
)

// catchUp fetches what others have committed: all the time while this peer
// follows; while it votes, when the engine says so, and when others turn out to be
// ahead of a replica that does not move: they may be in an epoch of which it is no
// member and hears nothing.
func (l *Ledger) catchUp(ctx context.Context) error {
	if l.peers == nil {
		return nil
	}
	idle := map[string]bool{}
	for ctx.Err() == nil {
		following := l.epoch.Load() == nil
		if !following && !l.left(ctx) {
			continue
		}
		moved, err := l.fetchFromSome(ctx, idle, following)
		if errors.Is(err, pbft.ErrDiverged) {
			return err
		}
		if !moved || err != nil {
			l.pause(ctx)
		}
	}
	return nil
}

// left waits until this replica is behind the others, and reports whether it is.
func (l *Ledger) left(ctx context.Context) bool {
	before := l.tip.Load().header.Seq
	timer := time.NewTimer(watchInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-l.needSync.ch:
		return true
	case <-timer.C:
	}
	return l.tip.Load().header.Seq == before && l.othersAhead(ctx, before)
}

// othersAhead reports whether a peer has more than a number of blocks and this one
// has not.
func (l *Ledger) othersAhead(ctx context.Context, have uint64) bool {
	for _, s := range l.ranked(ctx, map[string]bool{}) {
		if s.tip() > have {
			return l.tip.Load().header.Seq == have
		}
	}
	return false
}

func (l *Ledger) pause(ctx context.Context) {
	t := time.NewTimer(fetchPause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (l *Ledger) sources() []Source {
	if l.peers == nil {
		return nil
	}
	return l.peers.Sources(l.cfg.GossipFanout)
}

// fetchFromSome asks peers in turn until one has something, and reports whether
// one had. Those who are furthest come first, and those last who had nothing to
// give the last time, whatever they say.
func (l *Ledger) fetchFromSome(ctx context.Context, idle map[string]bool, follow bool) (bool, error) {
	for _, s := range l.ranked(ctx, idle) {
		before := l.tip.Load().header.Seq
		if err := l.noteFetch(ctx, &s, l.fetchBest(ctx, &s, follow)); err != nil {
			return false, err
		}
		if l.tip.Load().header.Seq > before {
			delete(idle, s.Name())
			return true, nil
		}
		idle[s.Name()] = true
		if err := ctx.Err(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// noteFetch logs why a peer's blocks ended, unless this peer ended it. It returns
// the error if it is this peer's own fault.
func (l *Ledger) noteFetch(ctx context.Context, s *standing, err error) error {
	if errors.Is(err, pbft.ErrDiverged) {
		return err
	}
	if err != nil && ctx.Err() == nil {
		l.log.Debug("fetching blocks", "peer", s.Name(), "err", err)
	}
	return nil
}

// standing is a source with how far it says it is.
type standing struct {
	Source
	head *codec.Head
}

// tip returns how far the source says it is.
func (s *standing) tip() uint64 { return s.head.Tip.Header.Seq }

// ranked returns the sources that answer, best first.
func (l *Ledger) ranked(ctx context.Context, idle map[string]bool) []standing {
	ctx, cancel := context.WithTimeout(ctx, headPatience)
	defer cancel()
	sources := l.sources()
	out := make([]standing, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() {
			if b, err := s.Head(ctx); err == nil {
				if h, err := codec.DecodeHead(b); err == nil {
					out[i] = standing{s, h}
				}
			}
		})
	}
	wg.Wait()
	out = slices.DeleteFunc(out, func(s standing) bool { return s.Source == nil })
	if len(idle) > len(out) {
		clear(idle)
	}
	slices.SortStableFunc(out, func(a, b standing) int {
		if ia, ib := idle[a.Name()], idle[b.Name()]; ia != ib {
			if ia {
				return 1
			}
			return -1
		}
		return cmp.Compare(b.tip(), a.tip())
	})
	return out
}

// fetchBest takes the state at the peer's checkpoint when this peer is far behind
// it or the blocks between are not to be had, and then blocks.
func (l *Ledger) fetchBest(ctx context.Context, s *standing, follow bool) error {
	if s.head.Checkpoint != nil && s.tip() > l.tip.Load().header.Seq+l.transferAfter {
		if err := l.transfer(ctx, s); err != nil {
			return err
		}
	}
	err := l.fetchWatched(ctx, s.Source, follow)
	if errors.Is(err, ErrPruned) && s.head.Checkpoint != nil {
		return l.transfer(ctx, s)
	}
	return err
}

// fetchWatched takes blocks from a peer. A peer that is followed and has nothing
// new is left when others have.
func (l *Ledger) fetchWatched(ctx context.Context, s Source, follow bool) error {
	if !follow {
		return l.fetchFrom(ctx, s, false)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer cancel()
		l.watchOthers(ctx)
	})
	return l.fetchFrom(ctx, s, true)
}

// watchOthers returns when this peer votes, or when others have had blocks for a
// while that this peer does not get.
func (l *Ledger) watchOthers(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		before := l.tip.Load().header.Seq
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if l.epoch.Load() != nil {
			return
		}
		if l.tip.Load().header.Seq == before && l.othersAhead(ctx, before) {
			return
		}
	}
}

// fetcher verifies a peer's blocks, one after another.
type fetcher struct {
	*Ledger
	chain  *receipt.Chain
	blocks []fetched
}

// fetchFrom takes blocks from a peer until it has no more; with follow, until this
// peer becomes a validator.
func (l *Ledger) fetchFrom(ctx context.Context, s Source, follow bool) error {
	chain, err := l.chain()
	if err != nil {
		return err
	}
	f := &fetcher{Ledger: l, chain: chain}
	for blob, err := range s.Blocks(ctx, l.tip.Load().header.Seq+1, follow) {
		if err != nil {
			return errors.Join(err, f.flush(ctx))
		}
		if err := f.add(blob); err != nil {
			return err
		}
		if follow || len(f.blocks) >= fetchTogether || f.blocks[len(f.blocks)-1].decision.Header.Last() {
			if err := f.flush(ctx); err != nil {
				return err
			}
		}
		if follow && l.epoch.Load() != nil {
			return nil
		}
	}
	return f.flush(ctx)
}

func (f *fetcher) add(blob []byte) error {
	x, err := codec.DecodeBlock(blob, codec.Limits{})
	if err != nil {
		return fmt.Errorf("%w: %w", errBadSource, err)
	}
	f.blocks = append(f.blocks, fetched{decision: x.Decision, body: x.Body, next: x.Next})
	return nil
}

// flush verifies the certificates of what has come and has the executor take it.
func (f *fetcher) flush(ctx context.Context) error {
	if len(f.blocks) == 0 {
		return nil
	}
	blocks := f.blocks
	f.blocks = nil
	decisions := make([]*pbft.Decision, len(blocks))
	for i := range blocks {
		decisions[i] = blocks[i].decision
	}
	verified, errs := f.chain.Verify(decisions...)
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%w: block %d: %w", errBadSource, decisions[i].Header.Seq, err)
		}
		blocks[i].verified = verified[i]
	}
	if last := &blocks[len(blocks)-1]; last.next != nil {
		hop := receipt.Hop{Header: last.decision.Header, Cert: last.decision.Cert, Validators: last.next}
		if err := f.chain.Advance(hop); err != nil {
			return fmt.Errorf("%w: %w", errBadSource, err)
		}
	}
	done := make(chan error, 1)
	f.exec.box.put(apply{blocks, done})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return nil
	}
}
