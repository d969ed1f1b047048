package exchange

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestConduct(t *testing.T) {
	c, net := newConduct(), at(11, 0, 1, 1)
	start := time.Unix(1e9, 0)
	for _, step := range []struct {
		after  time.Duration
		what   string
		want   reputation
		burden int
	}{
		{0, "", reputation{}, 0},
		{0, "delivered", reputation{delivered: true}, 0},
		{time.Minute, "stalled", reputation{until: start.Add(2 * time.Minute)}, 1},
		{2*time.Minute - 1, "", reputation{until: start.Add(2 * time.Minute)}, 1},
		{2 * time.Minute, "", reputation{}, 1},
		{3 * time.Minute, "stalled", reputation{until: start.Add(5 * time.Minute)}, 2},
		{5 * time.Minute, "stalled", reputation{until: start.Add(9 * time.Minute)}, 3},
		{9 * time.Minute, "delivered", reputation{delivered: true}, 3},
		{9 * time.Minute, "stalled", reputation{until: start.Add(17 * time.Minute)}, 4},
		{28 * time.Minute, "", reputation{}, 2},                                          // half is forgotten in ten minutes
		{78 * time.Minute, "stalled", reputation{until: start.Add(79 * time.Minute)}, 1}, // and all of the peer an hour after
		{80 * time.Minute, "lied", reputation{lied: true, until: start.Add(140 * time.Minute)}, 2},
		{140 * time.Minute, "", reputation{}, 0},
	} {
		now := start.Add(step.after)
		switch step.what {
		case "delivered":
			c.delivered("p", net, now)
		case "stalled":
			c.stalled("p", net, now)
		case "lied":
			c.lied("p", net, now)
		}
		if got, burden := c.of("p", now), c.burden(net.prefix, now); got != step.want || burden != step.burden {
			t.Errorf("%v %s: %+v and %d, want %+v and %d", step.after, step.what, got, burden, step.want, step.burden)
		}
	}
}

// A peer that stalls again and again is shunned for an hour at most.
func TestConductOfOneWhoStallsForEver(t *testing.T) {
	c, net := newConduct(), at(11, 0, 1, 1)
	now := time.Unix(1e9, 0)
	for range 100 {
		until := c.stalled("p", net, now)
		if d := until.Sub(now); d > maxStallShunned || d < stallShunned {
			t.Fatalf("shunned for %v", d)
		}
		now = until
	}
}

// However many names stall at one place, or at many, those at others are remembered.
func TestConductHasBounds(t *testing.T) {
	for _, prefixes := range []int{1, 100, 2000} {
		c, now := newConduct(), time.Unix(1e9, 0)
		c.delivered("honest", at(11, 0, 1, 1), now)
		c.lied("liar", at(11, 0, 2, 1), now)
		for i := range maxConductPeers + 100 {
			now = now.Add(time.Millisecond)
			c.stalled(peer.ID(fmt.Sprint(i)), at(12, i%prefixes/250, i%250, 1), now)
			if len(c.peers) > maxConductPeers || len(c.prefixes) > maxConductPrefixes {
				t.Fatalf("%d peers, %d prefixes", len(c.peers), len(c.prefixes))
			}
		}
		if !c.of("honest", now).delivered || !c.of("liar", now).lied {
			t.Errorf("%+v and %+v are left among %d prefixes", c.of("honest", now), c.of("liar", now), prefixes)
		}
	}
}

// Where a peer only says that it is, nobody else has to answer for it.
func TestConductOfThoseNeverReached(t *testing.T) {
	c, now := newConduct(), time.Unix(1e9, 0)
	net := at(11, 0, 1, 1)
	said := net
	said.known = false
	for i := range maxConductPeers + 10 {
		c.stalled(peer.ID(fmt.Sprint(i)), said, now)
		c.delivered("honest", net, now)
	}
	if !c.of("honest", now).delivered || c.burden(net.prefix, now) != 0 {
		t.Errorf("%+v, burden %d", c.of("honest", now), c.burden(net.prefix, now))
	}
}
