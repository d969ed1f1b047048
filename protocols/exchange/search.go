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
		f.offer(ctx, named, f.callers.known()...)
		f.offer(ctx, connected, f.x.connected()...)
		f.searchOnce(ctx)
		if err := f.pause(ctx, delay); err != nil {
			return err
		}
		delay = min(2*delay, maxSearchDelay)
	}
}

func (f *fetch) searchOnce(ctx context.Context) {
	var failure error
	number := 0
	for info, err := range f.x.finder.FindProviders(ctx, f.root) {
		if err != nil {
			failure = err
			continue
		}
		if info.ID != f.x.host.ID() {
			number++
			f.offer(ctx, found, info)
		}
	}
	f.roster.searched(number, failure)
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

// offer tells the roster of peers, and carries out what it decides.
func (f *fetch) offer(ctx context.Context, r rank, peers ...peer.AddrInfo) {
	seen := make([]sighting, len(peers))
	for i, info := range peers {
		seen[i] = f.x.sight(info, r)
	}
	f.carryOut(ctx, f.roster.offer(time.Now(), seen...))
}

// carryOut begins sessions, unless the fetch is over. Those that are to end have been told
// already.
func (f *fetch) carryOut(ctx context.Context, todo moves) {
	if ctx.Err() != nil {
		return
	}
	for _, m := range todo.begin {
		f.group.Go(func() error {
			f.attend(ctx, m)
			return nil
		})
	}
}

// sight looks where a peer is: where it is connected from, or else says that it is.
func (x *Exchange) sight(info peer.AddrInfo, r rank) sighting {
	if conns := x.host.Network().ConnsToPeer(info.ID); len(conns) > 0 {
		return sighting{info, originOf(info.ID, conns[0].RemoteMultiaddr()), r}
	}
	return sighting{info, originSaid(info.ID, info.Addrs), r}
}

// connected returns peers that are connected and speak the protocol.
func (x *Exchange) connected() []peer.AddrInfo {
	var infos []peer.AddrInfo
	for _, p := range x.host.Network().Peers() {
		if x.host.Network().Connectedness(p) != network.Connected {
			continue
		}
		if ok, err := x.host.Peerstore().SupportsProtocols(p, ID); err == nil && len(ok) > 0 {
			infos = append(infos, peer.AddrInfo{ID: p})
		}
	}
	return infos
}

// watch has the roster look now and then at what comes, and gives up when there is nobody to
// fetch from. Each caller has its own patience beside that.
func (f *fetch) watch(ctx context.Context) error {
	limits := f.x.cfg.Limits
	step := time.NewTicker(min(graceStep, limits.OfflineGrace))
	defer step.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-step.C:
		}
		now := time.Now()
		todo, heard := f.roster.tick(now)
		f.carryOut(ctx, todo)
		for _, h := range heard { // only of sessions that fetch by the schedule
			f.sched.heard(h, now)
		}
		alone := len(f.x.host.Network().Peers()) == 0 && f.roster.running() == 0
		if alone && f.silent() >= limits.OfflineGrace {
			f.stop(f.noProviders(fmt.Errorf("not connected to any peer for %v", limits.OfflineGrace)))
		}
	}
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
