package dht

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/time/rate"

	"github.com/decube/decube/internal/admission"
)

const (
	// askedPerSecond is how many messages of a peer are looked at in a second, after
	// askedAtOnce; of all peers of an address twice as many of both. Further ones wait, and
	// who sends them waits too once what is on the way is full. A record takes a write.
	askedPerSecond, askedAtOnce = 200, 1000
)

// pace has what is asked wait for its turn, by peer and by address. It is safe for concurrent
// use.
type pace struct {
	mu    sync.Mutex
	peers map[peer.ID]*walker
	addrs map[netip.Prefix]*walker
	swept time.Time
}

// walker is how fast one may go.
type walker struct {
	*rate.Limiter

	users int // streams
}

func newPace() *pace {
	return &pace{peers: map[peer.ID]*walker{}, addrs: map[netip.Prefix]*walker{}}
}

// visit is a stream that waits for its turns.
type visit struct {
	of   *pace
	peer peer.ID
	addr netip.Prefix // the zero value on this machine, which no stranger is on

	byPeer, byAddr *walker
}

// enter has a stream go at the pace of its peer and its address, until leave.
func (p *pace) enter(c network.Conn) *visit {
	v := &visit{of: p, peer: c.RemotePeer(), addr: addressOf(c)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep(time.Now())
	v.byPeer = walk(p.peers, v.peer, askedPerSecond, askedAtOnce)
	if v.addr.IsValid() {
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

// addressOf returns the address of a connection as far as it is counted: none on this machine,
// or through a name.
func addressOf(c network.Conn) netip.Prefix {
	raw, err := manet.ToIP(c.RemoteMultiaddr())
	if err != nil {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(raw)
	if ip = ip.Unmap(); ip.IsLoopback() {
		return netip.Prefix{}
	}
	return admission.AddressOf(ip)
}
