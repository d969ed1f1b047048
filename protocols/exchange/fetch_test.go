package exchange

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
)

func TestFetchOverEveryTransport(t *testing.T) {
	for name, opts := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFinder()
			s := build(1, append(uniform(40, 300<<10), 0, 1, 100, block.MaxSize)...)
			provider := join(t, newHost(t, opts...), f).provide(s)
			seeker := join(t, newHost(t, opts...), f)
			res := seeker.fetch(t, s)
			if res.Bytes != s.bytes || res.Blocks != int64(len(s.blocks)) || res.Reused != 0 || res.Duplicate != 0 {
				t.Errorf("result %+v, want %d blocks of %d bytes", res, len(s.blocks), s.bytes)
			}
			if len(res.Providers) != 1 || res.Providers[0].Peer != provider.host.ID() || res.Providers[0].Bytes != s.bytes {
				t.Errorf("providers %+v", res.Providers)
			}
		})
	}
}

func TestFetchOfWhatIsHeldNeedsNobody(t *testing.T) {
	t.Parallel()
	s := build(2, uniform(10, 1000)...)
	p := join(t, newHost(t), newFinder()).provide(s)
	res := p.fetch(t, s)
	if res.Reused != 10 || res.Blocks != 0 {
		t.Errorf("result %+v", res)
	}
	if n := p.finder.searches[s.root]; n != 0 {
		t.Errorf("%d searches", n)
	}
}

func TestFetchOfAnEmptySnapshot(t *testing.T) {
	t.Parallel()
	f, s := newFinder(), build(3)
	join(t, newHost(t), f).provide(s)
	join(t, newHost(t), f).fetch(t, s)
}

func TestFetchContinuesWhatAnEarlierOneLeft(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(4, uniform(64, 100<<10)...)
	provider := join(t, newHost(t), f, func(c *Config) { c.UploadRate = 4 << 20 }).provide(s)
	seeker := join(t, newHost(t), f)
	ctx, cancel := context.WithCancel(t.Context())
	res, err := seeker.x.Fetch(ctx, s.root, FetchOptions{Progress: func(p Progress) {
		if p.Done > 8 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Fetch: %v, want Canceled", err)
	}
	if got := seeker.store.pins[s.root]; got != "partial" {
		t.Errorf("pin is %q, want partial", got)
	}
	left := s.bytes - res.Bytes
	again := seeker.fetch(t, s)
	if again.ReusedBytes != res.Bytes || again.Bytes != left {
		t.Errorf("fetched %d, then %d and reused %d of %d", res.Bytes, again.Bytes, again.ReusedBytes, s.bytes)
	}
	if served := provider.events.bytesServed(); served > s.bytes+8<<20 {
		t.Errorf("%d bytes served for %d", served, s.bytes)
	}
}

func TestFetchFromProvidersThatHoldParts(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(5, uniform(60, 50<<10)...)
	for part := range 3 {
		p := join(t, newHost(t), f)
		p.store.put(s.meta...)
		for i := part; i < len(s.blocks); i += 3 {
			p.store.put(s.blocks[i])
		}
		f.add(s.root, p.info())
	}
	res := join(t, newHost(t), f).fetch(t, s)
	if len(res.Providers) != 3 {
		t.Errorf("%d providers, want 3", len(res.Providers))
	}
}

func TestFetchGoesOnWhenAProviderDies(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(6, uniform(120, 100<<10)...)
	slow := func(c *Config) { c.UploadRate = 4 << 20 }
	victim := join(t, newHost(t), f, slow).provide(s)
	join(t, newHost(t), f, slow).provide(s)
	seeker := join(t, newHost(t), f)
	var kill sync.Once
	res, err := seeker.x.Fetch(t.Context(), s.root, FetchOptions{Progress: func(p Progress) {
		if p.Done > 10 {
			kill.Do(func() { _ = victim.host.Close() })
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	seeker.mustHold(t, s)
	if res.Bytes != s.bytes {
		t.Errorf("%d bytes, want %d", res.Bytes, s.bytes)
	}
}

func TestFetchUsesProvidersThatAppearLater(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(7, uniform(60, 100<<10)...)
	first := join(t, newHost(t), f, func(c *Config) { c.UploadRate = 1 << 20 }).provide(s)
	late := join(t, newHost(t), f)
	seeker := join(t, newHost(t), f)
	var once sync.Once
	res, err := seeker.x.Fetch(t.Context(), s.root, FetchOptions{Progress: func(p Progress) {
		if p.Total > 0 {
			once.Do(func() { late.provide(s) })
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range res.Providers {
		if p.Peer == late.host.ID() && p.Bytes > s.bytes/2 {
			return
		}
	}
	t.Errorf("the late provider did not take over: %+v, first %s", res.Providers, first.host.ID())
}

func TestBlocksThatNoProviderHoldsAreLookedUp(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(8, uniform(30, 10<<10)...)
	provider := join(t, newHost(t), f).provide(s)
	other := join(t, newHost(t), f)
	for _, b := range s.blocks[10:13] {
		delete(provider.store.blocks, b.ID())
		other.store.put(b)
		f.add(b.ID(), other.info())
	}
	join(t, newHost(t), f).fetch(t, s)
}

func TestManifestPageThatNoProviderHoldsIsLookedUp(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(9, uniform(5, 10<<10)...)
	provider := join(t, newHost(t), f).provide(s)
	other := join(t, newHost(t), f)
	delete(provider.store.blocks, s.meta[1].ID())
	other.store.put(append(s.meta, s.blocks...)...) // and announces the page only
	f.add(s.meta[1].ID(), other.info())
	join(t, newHost(t), f).fetch(t, s)
}

func TestDamagedBlockIsFetchedElsewhere(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(10, uniform(30, 10<<10)...)
	provider := join(t, newHost(t), f).provide(s)
	provider.store.damaged[s.blocks[7].ID()] = true
	join(t, newHost(t), f).provide(s)
	res := join(t, newHost(t), f).fetch(t, s)
	for _, p := range res.Providers {
		if p.Dropped {
			t.Errorf("%s was dropped: %v", p.Peer, p.Err)
		}
	}
}

func TestFetchFromConnectedPeerWithoutSearch(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(11, uniform(10, 10<<10)...)
	provider := join(t, newHost(t), f)
	provider.store.put(append(s.meta, s.blocks...)...) // nobody is told
	seeker := join(t, newHost(t), f)
	if err := seeker.host.Connect(t.Context(), provider.info()); err != nil {
		t.Fatal(err)
	}
	seeker.fetch(t, s)
}

func TestFetchThatNobodyCanServe(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(12, 10)
	gone := newHost(t)
	lacking := join(t, newHost(t), f)
	f.add(s.root, lacking.info(), peer.AddrInfo{ID: gone.ID(), Addrs: gone.Addrs()})
	_ = gone.Close()
	seeker := join(t, newHost(t), f)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := seeker.x.Fetch(ctx, s.root, FetchOptions{})
	var none *NoProvidersError
	if !errors.Is(err, ErrNoProviders) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &none) {
		t.Fatalf("Fetch: %v", err)
	}
	if none.Found != 2 || none.Asked == 0 || len(none.Failures) != 2 || none.Searches == 0 {
		t.Errorf("tried %+v", none)
	}
	for _, want := range []string{lacking.host.ID().String(), "does not have the root", gone.ID().String()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if _, pinned := seeker.store.pins[s.root]; pinned {
		t.Error("what was never found is pinned")
	}
}

func TestFetchOfflineGivesUp(t *testing.T) {
	t.Parallel()
	f := newFinder()
	f.err = errors.New("no peers known")
	_, err := join(t, newHost(t), f).x.Fetch(t.Context(), build(13, 10).root, FetchOptions{})
	if !errors.Is(err, ErrNoProviders) || !strings.Contains(err.Error(), "no peers known") {
		t.Errorf("Fetch: %v", err)
	}
}

func TestFetchEndsWhenTheStoreIsFull(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(14, uniform(60, 100<<10)...)
	join(t, newHost(t), f).provide(s)
	seeker := join(t, newHost(t), f)
	seeker.store.full = 1 << 20
	if _, err := seeker.x.Fetch(t.Context(), s.root, FetchOptions{}); !errors.Is(err, errFull) {
		t.Errorf("Fetch: %v, want the store's error", err)
	}
}

func TestFetchOfWhatIsNotARoot(t *testing.T) {
	t.Parallel()
	_, err := join(t, newHost(t), newFinder()).x.Fetch(t.Context(), build(15, 10).blocks[0].ID(), FetchOptions{})
	if err == nil || errors.Is(err, ErrNoProviders) {
		t.Errorf("Fetch: %v", err)
	}
}

func TestProgressEndsComplete(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(16, uniform(20, 1000)...)
	join(t, newHost(t), f).provide(s)
	seeker := join(t, newHost(t), f)
	seeker.store.put(s.blocks[:5]...)
	var last Progress
	if _, err := seeker.x.Fetch(t.Context(), s.root, FetchOptions{Progress: func(p Progress) { last = p }}); err != nil {
		t.Fatal(err)
	}
	if last.Done != 20 || last.Total != 20 || last.DoneBytes != s.bytes || last.TotalBytes != s.bytes || last.Root != s.root {
		t.Errorf("progress %+v", last)
	}
}

// Four providers with the same limit share the work evenly, and little of it is
// done twice. What that means in time is measured by BenchmarkProviders; here
// whoever is connected first may bring a little more.
func TestProvidersAddUp(t *testing.T) {
	t.Parallel()
	s := build(17, uniform(12*32, 32<<10)...)
	seeker := limitedSwarm(t, s, 4, 2<<20)
	res := seeker.fetch(t, s)
	var most int64
	for _, p := range res.Providers {
		most = max(most, p.Bytes)
	}
	if share := float64(s.bytes) / float64(most); share < 3.3 {
		t.Errorf("one of four brought a %.2fth of the bytes: %+v", share, res.Providers)
	}
	if res.Duplicate > s.bytes/10 {
		t.Errorf("%d of %d bytes came twice", res.Duplicate, s.bytes)
	}
}

// limitedSwarm returns a peer that is connected to providers of s, each of which
// sends rate bytes a second from the first byte on.
func limitedSwarm(tb testing.TB, s *sample, providers int, rate int64) *party {
	tb.Helper()
	f := newFinder()
	seeker := join(tb, newHost(tb), f)
	for range providers {
		p := join(tb, newHost(tb), f, func(c *Config) { c.UploadRate = rate }).provide(s)
		if err := seeker.host.Connect(context.Background(), p.info()); err != nil {
			tb.Fatal(err)
		}
	}
	return seeker
}

// A slow provider must not hold up the end.
func TestSlowProviderIsRobbed(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(18, uniform(100, 64<<10)...)
	join(t, newHost(t), f, func(c *Config) { c.UploadRate = minUploadRate }).provide(s)
	join(t, newHost(t), f, func(c *Config) { c.UploadRate = 8 << 20 }).provide(s)
	res := join(t, newHost(t), f).fetch(t, s)
	if res.Seconds > 5 {
		t.Errorf("%.1f s, the fast provider alone needs 0.8 s", res.Seconds)
	}
}

func TestFetchBlocks(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(19, uniform(12, 1000)...)
	connected, found := join(t, newHost(t), f), join(t, newHost(t), f)
	connected.store.put(s.blocks[:4]...)
	found.store.put(s.blocks[4:8]...)
	for _, b := range s.blocks[4:8] {
		f.add(b.ID(), found.info())
	}
	seeker := join(t, newHost(t), f)
	seeker.store.put(s.blocks[8])
	if err := seeker.host.Connect(t.Context(), connected.info()); err != nil {
		t.Fatal(err)
	}
	ids := make([]block.ID, 9)
	for i := range ids {
		ids[i] = s.blocks[i].ID()
	}
	if err := seeker.x.FetchBlocks(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		if !seeker.store.has(id) {
			t.Errorf("block %d is missing", i)
		}
	}
	var missing *MissingError
	err := seeker.x.FetchBlocks(t.Context(), []block.ID{s.blocks[9].ID(), s.blocks[0].ID()})
	if !errors.As(err, &missing) || !errors.Is(err, ErrNoProviders) || len(missing.Missing) != 1 || missing.Missing[0] != s.blocks[9].ID() {
		t.Errorf("FetchBlocks: %v", err)
	}
}
