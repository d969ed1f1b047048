package exchange

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// TestPlacesOfThoseWhoHoldNothing has peers that hold the root, as all do that fetch it
// at the same time, take all places before the one is found that holds the rest.
func TestPlacesOfThoseWhoHoldNothing(t *testing.T) {
	for name, tellBlocks := range map[string]adversary{
		"the manifest":  honestly(nil),
		"not even that": func(w io.Writer, req request, _ *sample) error { return tellNothing(w, req) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFinder()
			s := build(79, uniform(20, 40<<10)...)
			const places = 2
			var asked sync.WaitGroup // of all villains
			for range places {
				asked.Add(1)
				tellAsked := sync.OnceFunc(asked.Done)
				f.add(s.root, serveHostile(t, s, func(w io.Writer, req request, s *sample) error {
					if req.kind != askHave {
						return tellBlocks(w, req, s)
					}
					tellAsked()
					return tell(w, answer{kind: tellHave, id: req.id, total: len(s.blocks), form: formNone}, nil)
				}))
			}
			ready := make(chan struct{})
			go func() {
				asked.Wait()
				close(ready)
			}()
			join(t, newHost(t), f).provideWhen(s, ready)
			seeker := join(t, newHost(t), f, func(c *Config) { c.Limits.Peers = places })
			seeker.fetch(t, s)
		})
	}
}

// tellNothing answers a request for blocks as somebody who lacks all of them.
func tellNothing(w io.Writer, req request) error {
	return errors.Join(
		tell(w, answer{kind: tellMissing, id: req.id, count: len(req.ids)}, nil),
		tell(w, answer{kind: tellEnd, id: req.id}, nil))
}

// TestRosterHasRoomForAnother finds more peers than are remembered, all but one of
// which are no good.
func TestRosterHasRoomForAnother(t *testing.T) {
	r, now := newRoster(), time.Now()
	for i := range 3 * maxMembers {
		m := r.offer(peer.AddrInfo{ID: peer.ID(fmt.Sprint("p", i))}, now)
		if m == nil {
			t.Fatalf("peer %d has no session", i)
		}
		if i == 0 {
			r.credit(m, 1)
		}
		r.ended(m, failing, errNobody, now.Add(time.Hour))
	}
	if len(r.order) != maxMembers || len(r.members) != maxMembers {
		t.Errorf("%d peers are remembered, want %d", len(r.order), maxMembers)
	}
	if r.members["p0"] == nil {
		t.Error("a peer that brought something was forgotten")
	}
}
