package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// maxSearchDelay is the longest pause between searches.
	maxSearchDelay = 30 * time.Second
	// graceStep is how often it is looked whether there is anybody to fetch from.
	graceStep = 100 * time.Millisecond
)

// startSearch begins to search for providers, once.
func (f *fetch) startSearch(ctx context.Context) {
	f.search.Do(func() {
		f.progressed()
		f.waiting.Store(true)
		f.group.Go(func() error { return f.searching(ctx) })
		f.group.Go(func() error { return f.watch(ctx) })
	})
}

// searching searches until the fetch ends: providers that appear later join in.
func (f *fetch) searching(ctx context.Context) error {
	delay := f.x.cfg.Limits.SearchDelay
	for {
		f.offer(ctx, f.callers.known()...)
		f.offer(ctx, f.x.connected()...)
		f.searchOnce(ctx)
		if err := f.pause(ctx, delay); err != nil {
			return err
		}
		delay = min(2*delay, maxSearchDelay)
	}
}

func (f *fetch) searchOnce(ctx context.Context) {
	var failure error
	found := 0
	for info, err := range f.x.finder.FindProviders(ctx, f.root) {
		if err != nil {
			failure = err
			continue
		}
		if info.ID != f.x.host.ID() {
			found++
			f.offer(ctx, info)
		}
	}
	f.roster.searched(found, failure)
}

// pause waits for delay, or less when the last provider has gone, or a caller names
// further ones.
func (f *fetch) pause(ctx context.Context, delay time.Duration) error {
	end := time.NewTimer(delay)
	defer end.Stop()
	least := time.NewTimer(f.x.cfg.Limits.SearchDelay)
	defer least.Stop()
	early, had := false, f.roster.serving() > 0
	for {
		changed := f.roster.wait()
		if early && had && f.roster.serving() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case <-f.callers.added:
			return nil
		case <-least.C:
			early = true
		case <-changed:
		}
	}
}

// offer begins a session with each of the peers, as far as there is none.
func (f *fetch) offer(ctx context.Context, peers ...peer.AddrInfo) {
	for _, info := range peers {
		if m := f.roster.offer(info, time.Now()); m != nil {
			f.group.Go(func() error {
				f.attend(ctx, m)
				return nil
			})
		}
	}
}

// connected returns peers that are connected and speak the protocol.
func (x *Exchange) connected() []peer.AddrInfo {
	var infos []peer.AddrInfo
	for _, p := range x.host.Network().Peers() {
		if len(infos) == x.cfg.Limits.ConnectedPeers {
			break
		}
		if x.host.Network().Connectedness(p) != network.Connected {
			continue
		}
		if ok, err := x.host.Peerstore().SupportsProtocols(p, ID); err == nil && len(ok) > 0 {
			infos = append(infos, peer.AddrInfo{ID: p})
		}
	}
	return infos
}

// watch gives up when there is nobody to fetch from, and sees to it that those who wait
// for a place get one. Each caller has its own patience beside that.
func (f *fetch) watch(ctx context.Context) error {
	limits := f.x.cfg.Limits
	step := time.NewTicker(min(graceStep, limits.OfflineGrace))
	defer step.Stop()
	roomy := time.Now() // when nobody had to wait for a place, or one was cleared
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-step.C:
		}
		if f.queued.Load() == 0 || time.Since(roomy) > limits.StallTimeout && f.clearPlace() {
			roomy = time.Now()
		}
		alone := len(f.x.host.Network().Peers()) == 0 && f.roster.running() == 0
		if alone && f.still() >= limits.OfflineGrace {
			f.stop(f.noProviders(fmt.Errorf("not connected to any peer for %v", limits.OfflineGrace)))
		}
	}
}

// clearPlace ends the session that has been without a block for the longest, if that is
// StallTimeout at least, and reports whether there was one. Those that send just fast
// enough not to be stalled could keep all others out for ever. It is one at a time, so
// that of many that share a slow line most go on with the blocks that they have begun.
func (f *fetch) clearPlace() bool {
	m := f.roster.idlest(time.Now().Add(-f.x.cfg.Limits.StallTimeout))
	if m != nil {
		f.roster.endSession(m, errTooSlow)
	}
	return m != nil
}

// noProviders says what was tried.
func (f *fetch) noProviders(cause error) error {
	found, searches, asked, failure := f.roster.tally()
	if failure != nil && !errors.Is(failure, context.Canceled) { // which the end of the fetch did
		cause = fmt.Errorf("%w (the last search: %w)", cause, failure)
	}
	return &NoProvidersError{
		Root: f.root, Cause: cause, Failures: f.roster.failures(),
		Found: found, Searches: searches, Asked: asked,
	}
}
