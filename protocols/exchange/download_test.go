package exchange

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// call is a Fetch that runs.
type call struct {
	done chan struct{}
	res  FetchResult
	err  error
	last Progress
}

func (p *party) call(ctx context.Context, s *sample, providers ...peer.AddrInfo) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.res, c.err = p.x.Fetch(ctx, s.root, FetchOptions{
			Providers: providers, Progress: func(p Progress) { c.last = p },
		})
	}()
	return c
}

// waiters waits until n calls wait for s.
func (p *party) waiters(t *testing.T, s *sample, n int) {
	t.Helper()
	count := func() int {
		p.x.joining.Lock()
		defer p.x.joining.Unlock()
		d := p.x.downloads[s.root]
		if d == nil {
			return 0
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.waiting)
	}
	for begun := time.Now(); count() != n; runtime.Gosched() {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d calls wait, want %d", count(), n)
		}
	}
}

// Calls for one root share a download: it outlives the call that began it, asks
// providers that a later one names, and tells everyone.
func TestFetchesOfOneRootShareADownload(t *testing.T) {
	s := build(100, uniform(20, 100<<10)...)
	provider := join(t, newHost(t), newFinder()).provide(s)
	p := join(t, newHost(t), newFinder(), func(c *Config) {
		c.Limits.OfflineGrace, c.Limits.SearchDelay = time.Minute, time.Minute
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	leaving, leave := context.WithCancel(ctx)
	first := p.call(leaving, s)
	p.waiters(t, s, 1)
	second := p.call(ctx, s)
	p.waiters(t, s, 2)
	leave()
	<-first.done
	if !errors.Is(first.err, context.Canceled) || first.res.Root != s.root {
		t.Errorf("the call that left: %+v, %v", first.res, first.err)
	}
	p.waiters(t, s, 1)
	third := p.call(ctx, s, provider.info())
	for i, c := range []*call{second, third} {
		<-c.done
		if c.err != nil || c.res.Bytes != s.bytes || c.last.Done != int64(len(s.blocks)) || c.last.Done != c.last.Total {
			t.Errorf("call %d: %+v, %v, last progress %+v", i, c.res, c.err, c.last)
		}
	}
	p.mustHold(t, s)
	if served := provider.events.bytesServed(); served >= 2*s.bytes {
		t.Errorf("%d bytes were served for a snapshot of %d", served, s.bytes)
	}
}

// A call that comes while a download ends, because nobody waited, begins another.
func TestFetchAfterEveryoneLeft(t *testing.T) {
	s := build(101, uniform(3, 10<<10)...)
	provider := join(t, newHost(t), newFinder()).provide(s)
	p := join(t, newHost(t), newFinder(), func(c *Config) { c.Limits.OfflineGrace = time.Minute })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	leaving, leave := context.WithCancel(ctx)
	first := p.call(leaving, s)
	p.waiters(t, s, 1)
	leave()
	second := p.call(ctx, s, provider.info())
	<-first.done
	<-second.done
	if !errors.Is(first.err, context.Canceled) || second.err != nil {
		t.Errorf("first: %v, second: %v", first.err, second.err)
	}
	p.mustHold(t, s)
}

// A call that ends while others have their turn says why it has ended.
func TestFetchThatWaitsForItsTurn(t *testing.T) {
	s := build(102, uniform(3, 10<<10)...)
	p := join(t, newHost(t), newFinder(), func(c *Config) { c.Limits.Fetches = 1 })
	if err := p.x.fetches.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	defer p.x.fetches.Release(1)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	waiting := p.call(ctx, s)
	p.waiters(t, s, 1)
	cancel(why)
	if <-waiting.done; !errors.Is(waiting.err, why) {
		t.Errorf("Fetch: %v", waiting.err)
	}
}
