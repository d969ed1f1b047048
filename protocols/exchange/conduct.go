package exchange

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Bounds of what is remembered of peers over fetches, and for how long they are shunned.
const (
	maxConductPeers    = 4096
	maxConductPrefixes = 1024
	// liarShunned is for how long a peer is not asked that sent what it must not.
	liarShunned = time.Hour
	// stallShunned is for how long a peer is asked after all others that stalled once; it
	// doubles each time, up to an hour, and is forgotten after another hour.
	stallShunned    = time.Minute
	maxStallShunned = time.Hour
	// burdenHalves is how fast the strikes of a prefix are forgotten.
	burdenHalves = 10 * time.Minute
)

// conduct remembers over fetches how peers behaved as providers. It reads no clock. Where
// there is no room, the prefix of which most is remembered loses its oldest peer, one that
// delivered last: many names at one place make nobody else forgotten. It is safe for
// concurrent use.
type conduct struct {
	mu       sync.Mutex
	peers    map[peer.ID]*record
	prefixes map[group]*strikes
}

// record is what is remembered of one peer.
type record struct {
	prefix    group
	delivered bool // and did not stall since
	lied      bool
	stalls    int
	until     time.Time // it is shunned
	at        time.Time // it was last heard of
}

// strikes count how often peers of one prefix lied or stalled.
type strikes struct {
	n  int
	at time.Time
}

// reputation is what a fetch is told of a peer.
type reputation struct {
	delivered bool      // good blocks, and has not stalled or lied since
	lied      bool      // it is not asked until then, even when there is nobody else
	until     time.Time // it is shunned, zero if it is not
}

func newConduct() *conduct {
	return &conduct{peers: map[peer.ID]*record{}, prefixes: map[group]*strikes{}}
}

// of returns what is remembered of p.
func (c *conduct) of(p peer.ID, now time.Time) reputation {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.peers[p]
	if r == nil {
		return reputation{}
	}
	if !now.Before(r.until) {
		return reputation{delivered: r.delivered}
	}
	return reputation{lied: r.lied, until: r.until}
}

// burden returns how much peers of a prefix have stalled and lied lately.
func (c *conduct) burden(prefix group, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.prefixes[prefix]
	if s == nil {
		return 0
	}
	return s.left(now)
}

func (s *strikes) left(now time.Time) int {
	return s.n >> min(30, max(0, now.Sub(s.at)/burdenHalves))
}

// delivered notes that p has brought a good block.
func (c *conduct) delivered(p peer.ID, at origin, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.record(p, at, now)
	r.delivered = true
}

// stalled notes that p was waited for in vain, and returns until when it is shunned.
func (c *conduct) stalled(p peer.ID, at origin, now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.record(p, at, now)
	if now.Sub(r.until) > maxStallShunned && !r.until.IsZero() {
		r.stalls = 0
	}
	r.delivered = false
	shunned := min(stallShunned<<min(r.stalls, 6), maxStallShunned)
	r.stalls++
	if !now.Before(r.until) {
		r.lied = false
	}
	if until := now.Add(shunned); until.After(r.until) {
		r.until = until
	}
	c.strike(at, now)
	return r.until
}

// lied notes that p sent what it must not, and returns until when it is shunned.
func (c *conduct) lied(p peer.ID, at origin, now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.record(p, at, now)
	r.delivered, r.lied, r.until = false, true, now.Add(liarShunned)
	c.strike(at, now)
	return r.until
}

// record returns what is remembered of p, and notes where it is. c.mu is held.
func (c *conduct) record(p peer.ID, at origin, now time.Time) *record {
	r := c.peers[p]
	if r == nil {
		if len(c.peers) >= maxConductPeers {
			c.forget()
		}
		r = &record{}
		c.peers[p] = r
	}
	r.prefix, r.at = at.prefix, now
	if !at.known {
		r.prefix = group{} // all that have never been reached share one
	}
	return r
}

// forget makes room for another peer. c.mu is held.
func (c *conduct) forget() {
	of := map[group]int{}
	for _, r := range c.peers {
		of[r.prefix]++
	}
	worse := func(a, b *record) bool {
		if of[a.prefix] != of[b.prefix] {
			return of[a.prefix] > of[b.prefix]
		}
		if a.delivered != b.delivered {
			return b.delivered
		}
		return a.at.Before(b.at)
	}
	var worst peer.ID
	var what *record
	for p, r := range c.peers {
		if what == nil || worse(r, what) || !worse(what, r) && p < worst {
			worst, what = p, r
		}
	}
	delete(c.peers, worst)
}

// strike counts against the prefix of a peer, if that is known. c.mu is held.
func (c *conduct) strike(at origin, now time.Time) {
	if !at.known {
		return
	}
	s := c.prefixes[at.prefix]
	if s == nil {
		if len(c.prefixes) >= maxConductPrefixes {
			c.forgive(now)
		}
		s = &strikes{}
		c.prefixes[at.prefix] = s
	}
	s.n, s.at = min(s.left(now)+1, 1<<20), now
}

// forgive makes room for another prefix: of those with the fewest strikes left, the one
// that was struck the longest ago. c.mu is held.
func (c *conduct) forgive(now time.Time) {
	var least group
	var of *strikes
	for g, s := range c.prefixes {
		if of == nil || s.left(now) < of.left(now) || s.left(now) == of.left(now) && s.at.Before(of.at) {
			least, of = g, s
		}
	}
	delete(c.prefixes, least)
}
