package statesync

import (
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/streams"
)

// askers counts how many ask, as a host does that brakes strangers.
type askers struct {
	streams.Strangers

	now, all atomic.Int64
}

func (a *askers) Asking(peer.ID) (done func()) {
	a.now.Add(1)
	a.all.Add(1)
	return func() { a.now.Add(-1) }
}

// Who is asked is told of for as long as that takes, and so is who cannot be reached.
func TestWhoIsAskedIsToldOf(t *testing.T) {
	p := serve(t, newHost(t), newChain(1, "one", "two"))
	a := &askers{}
	asks := p.ask(t)
	asks.s.o.Peers = a
	for _, want := range []int64{1, 2} {
		if _, err := asks.Head(within(t)); err != nil && want == 1 {
			t.Fatal(err)
		}
		if now, all := a.now.Load(), a.all.Load(); now != 0 || all != want {
			t.Errorf("%d are asked, %d were, want none and %d", now, all, want)
		}
		if err := p.host.Close(); err != nil { // it is not there the second time
			t.Fatal(err)
		}
	}
}
