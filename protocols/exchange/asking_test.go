package exchange

import (
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/streams"
)

// askers counts how many ask whom, as a host does that brakes strangers.
type askers struct {
	streams.Strangers

	mu  sync.Mutex
	now map[peer.ID]int
	all map[peer.ID]int
}

func (a *askers) Asking(p peer.ID) (done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now[p]++
	a.all[p]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.now[p]--
	}
}

// Who is fetched from is asked for something for as long as that takes, and so is who cannot
// be reached.
func TestFetchTellsWhoIsAsked(t *testing.T) {
	t.Parallel()
	f, s := newFinder(), build(5, uniform(10, 1000)...)
	provider := join(t, newHost(t), f).provide(s)
	nobody := newHost(t)
	f.addWhen(s.root, peer.AddrInfo{ID: nobody.ID(), Addrs: nobody.Addrs()}, nil)
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	a := &askers{now: map[peer.ID]int{}, all: map[peer.ID]int{}}
	cfg := Default()
	quick(&cfg)
	seeker := &party{host: newHost(t), store: newMemStore(), finder: f, events: newEvents()}
	var err error
	if seeker.x, err = New(seeker.host, seeker.store, f, testLoad, cfg, Options{Peers: a, Observer: seeker.events}); err != nil {
		t.Fatal(err)
	}
	seeker.fetch(t, s)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[provider.host.ID()] == 0 {
		t.Error("nothing was said of who was asked")
	}
	for p, n := range a.now {
		if n != 0 {
			t.Errorf("%s is asked by %d when it is over", p, n)
		}
	}
}
