package dht

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

const (
	// askedPerSecond is how many messages of a peer are looked at in a second, after
	// askedAtOnce; of all peers of an address twice as many of both. Further ones wait, and
	// who sends them waits too once what is on the way is full. A record takes a write.
	askedPerSecond, askedAtOnce = 200, 1000
	// strangersPerSecond is the same of all together who have no role, as many at once: hundreds of
	// peers, each within its own bound, have the processor to themselves otherwise. They take turns
	// by stream, so that somebody who asks once waits for one message of each other stream at most.
	strangersPerSecond = 4000
)

// pace has what is asked wait for its turn, by peer and by address, and of strangers together. It
// is safe for concurrent use.
type pace struct {
	strangers *rate.Limiter

	mu    sync.Mutex
	peers map[peer.ID]*walker
	addrs map[admission.Origin]*walker
	swept time.Time
}

// walker is how fast one may go.
type walker struct {
	*rate.Limiter

	users int // streams
}

func newPace() *pace {
	return &pace{strangers: rate.NewLimiter(strangersPerSecond, strangersPerSecond), peers: map[peer.ID]*walker{}, addrs: map[admission.Origin]*walker{}}
}

// visit is a stream that waits for its turns.
type visit struct {
	of   *pace
	peer peer.ID
	addr admission.Origin // the zero value on this machine, which no stranger is on

	byPeer, byAddr *walker
	strangers      *rate.Limiter // nil for who has a role
}

// enter has a stream go at the pace of its peer and its address, until leave, and at that of
// strangers unless its peer has a role.
func (p *pace) enter(c network.Conn, role bool) *visit {
	// A relay is not who comes through it: they share a pace among themselves.
	at, _ := streams.OriginOf(c.RemoteMultiaddr())
	v := &visit{of: p, peer: c.RemotePeer(), addr: at}
	if !role {
		v.strangers = p.strangers
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep(time.Now())
	v.byPeer = walk(p.peers, v.peer, askedPerSecond, askedAtOnce)
	if v.addr != (admission.Origin{}) {
		v.byAddr = walk(p.addrs, v.addr, 2*askedPerSecond, 2*askedAtOnce)
	}
	return v
}

// walk returns the walker of somebody, with one more user.
func walk[K comparable](all map[K]*walker, who K, perSecond, burst int) *walker {
	w := all[who]
	if w == nil {
		w = &walker{Limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
		all[who] = w
	}
	w.users++
	return w
}

// turn returns how long the next message has to wait.
func (v *visit) turn(now time.Time) time.Duration {
	wait := v.byPeer.ReserveN(now, 1).DelayFrom(now)
	if v.byAddr != nil {
		wait = max(wait, v.byAddr.ReserveN(now, 1).DelayFrom(now))
	}
	if v.strangers != nil {
		wait = max(wait, v.strangers.ReserveN(now, 1).DelayFrom(now))
	}
	return wait
}

// leave says that the stream has ended.
func (v *visit) leave() {
	v.of.mu.Lock()
	defer v.of.mu.Unlock()
	v.byPeer.users--
	if v.byAddr != nil {
		v.byAddr.users--
	}
}

// sweptEvery is how often those are forgotten who have gone and may ask all at once again:
// so many seconds after the last message at most.
const sweptEvery = askedAtOnce / askedPerSecond * time.Second

// sweep forgets them, so that those who are known are here, or were a moment ago.
func (p *pace) sweep(now time.Time) {
	if now.Sub(p.swept) < sweptEvery {
		return
	}
	p.swept = now
	forget(p.peers, now)
	forget(p.addrs, now)
}

func forget[K comparable](all map[K]*walker, now time.Time) {
	for who, w := range all {
		if w.users == 0 && w.TokensAt(now) >= float64(w.Burst()) {
			delete(all, who)
		}
	}
}
