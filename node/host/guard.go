package host

import (
	"io"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
)

// handshakeTimeout bounds a handshake of an inbound connection over TCP. libp2p waits 15 s.
const handshakeTimeout = 5 * time.Second

// handshakesPerAddress is how many connections of one address may be in their handshake.
const handshakesPerAddress = 8

// guard is asked before addresses are dialled and connections accepted. It is a
// connmgr.ConnectionGater.
type guard struct {
	*dials

	bans bans

	now        func() time.Time
	mu         sync.Mutex
	shunned    *shunned[peer.ID]              // of those who have no role
	unruly     *shunned[peer.ID]              // of those who have one
	handshakes *pending[string, netip.Prefix] // inbound connections that are not secured, by address and port
	making     *making                        // the same over QUIC
	arrivals   arrivals
	full       atomic.Bool // newcomers displace others
}

var _ connmgr.ConnectionGater = (*guard)(nil)

// newGuard returns a guard under a budget.
func newGuard(scope Scope, b *limits.Budget) *guard {
	return &guard{
		dials: newDials(scope), now: time.Now,
		shunned:    newShunned[peer.ID](refusalsMost, shunFor),
		unruly:     newShunned[peer.ID](roleRefusalsMost, shunRoleFor),
		handshakes: newPending[string, netip.Prefix](5*b.Transient.ConnsInbound/8, handshakesPerAddress, handshakeTimeout),
		making:     newMaking(b.Transient.ConnsInbound / 4),
		arrivals:   newArrivals(),
	}
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *guard) InterceptPeerDial(p peer.ID) bool { return !g.banned(p, netip.Addr{}) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *guard) InterceptAddrDial(p peer.ID, a ma.Multiaddr) bool {
	return g.may(a) && !g.banned(p, ipOf(a))
}

func (g *guard) banned(p peer.ID, ip netip.Addr) bool { return g.bans.banned(p, ip) }

// arrives reports whether somebody may begin a connection, before there is any handshake.
func (g *guard) arrives(ip netip.Addr) bool {
	if !ip.IsValid() || ip.IsLoopback() { // no stranger is on this machine
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.arrivals.allow(g.now(), ip, g.full.Load())
}

// arrivesOver is arrives over QUIC, where an address that is not proved may be made up.
func (g *guard) arrivesOver(ip netip.Addr, proved bool) bool {
	if proved || !ip.IsValid() || ip.IsLoopback() {
		return g.arrives(ip)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.arrivals.allowUnproved(g.now())
}

// prove reports whether who arrives over QUIC has to prove its address first.
func (g *guard) prove() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.arrivals.prove(g.now(), g.full.Load()) || !g.making.mayMakeUp()
}

// begins notes a handshake over QUIC, until ends is called, or returns false if there may be none.
func (g *guard) begins(id string, ip netip.Addr, proved bool) (ends func(), ok bool) {
	if !ip.IsValid() || ip.IsLoopback() { // no stranger is on this machine
		return func() {}, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.making.begin(id, ip, proved)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.making.end(h)
	}, h != nil
}

// InterceptAccept implements connmgr.ConnectionGater. It makes room for a connection by
// cutting others off rather than refusing it: who stalls is among the others. Over QUIC there
// was a handshake already, and admit has asked whether there may be.
func (g *guard) InterceptAccept(c network.ConnMultiaddrs) bool {
	ip := ipOf(c.RemoteMultiaddr())
	if g.banned("", ip) {
		return false
	}
	closer, ok := c.(io.Closer)
	if !isQUIC(c.RemoteMultiaddr()) && !g.arrives(ip) {
		return false
	}
	if !ok || !ip.IsValid() || ip.IsLoopback() { // no stranger is on this machine
		return true
	}
	g.mu.Lock()
	cuts := g.handshakes.begin(g.now(), c.RemoteMultiaddr().String(), admission.AddressOf(ip), func() { _ = closer.Close() })
	g.mu.Unlock()
	for _, cut := range cuts {
		cut()
	}
	return true
}

// InterceptSecured implements connmgr.ConnectionGater.
func (g *guard) InterceptSecured(dir network.Direction, p peer.ID, c network.ConnMultiaddrs) bool {
	if b, ok := c.(*boundedConn); ok {
		b.secured(p)
	}
	if dir == network.DirInbound {
		g.mu.Lock()
		g.handshakes.end(c.RemoteMultiaddr().String())
		g.making.secured(c.RemoteMultiaddr().String())
		shunned := g.shunned.shuns(g.now(), p) || g.unruly.shuns(g.now(), p)
		g.mu.Unlock()
		if shunned {
			return false
		}
	}
	return !g.banned(p, ipOf(c.RemoteMultiaddr()))
}

// refused counts a refusal of a peer, which may have a role, and reports whether it is shunned
// from now on.
func (g *guard) refused(now time.Time, p peer.ID, role bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if role {
		return g.unruly.refused(now, p)
	}
	return g.shunned.refused(now, p)
}

// InterceptUpgraded implements connmgr.ConnectionGater. A ban may have come meanwhile.
func (g *guard) InterceptUpgraded(c network.Conn) (allow bool, reason control.DisconnectReason) {
	return !g.banned(c.RemotePeer(), ipOf(c.RemoteMultiaddr())), 0
}

func isQUIC(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_QUIC_V1)
	return err == nil
}

// connsPerSecond is how many connections a second one address may open on average.
const connsPerSecond = 2

// connOptions bound the connections by address: R for one, four times as many for the /24
// around it, or for IPv6 the /56, twice as many for the /48 and eight times for the /32. The
// addresses that are configured have four times as many of their own, and this machine any
// number. libp2p's bound of one connection in five seconds counts our own dials too, and
// would lock out validators behind one address.
func connOptions(b *limits.Budget, configured []netip.Addr) []rcmgr.Option {
	r := b.ConnsPerAddress
	loopback4, loopback6 := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")
	v4 := []rcmgr.NetworkPrefixLimit{{Network: loopback4, ConnCount: math.MaxInt}}
	v6 := []rcmgr.NetworkPrefixLimit{{Network: loopback6, ConnCount: math.MaxInt}}
	for _, ip := range configured {
		l := rcmgr.NetworkPrefixLimit{Network: netip.PrefixFrom(ip, ip.BitLen()), ConnCount: 4 * r}
		if ip.Is4() {
			v4 = append(v4, l)
		} else {
			v6 = append(v6, l)
		}
	}
	often := rate.Limit{RPS: connsPerSecond, Burst: 2 * r}
	return []rcmgr.Option{
		rcmgr.WithNetworkPrefixLimit(v4, v6),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: r}, {PrefixLength: 24, ConnCount: 4 * r}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: r}, {PrefixLength: 48, ConnCount: 2 * r}, {PrefixLength: 32, ConnCount: 8 * r}},
		),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: []rate.PrefixLimit{{Prefix: loopback4}, {Prefix: loopback6}}, // without a limit
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: often}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: often}},
				GracePeriod:      time.Minute,
			},
		}),
	}
}

// configured returns the addresses of peers that the settings name, each once.
func (c Config) configured() []netip.Addr {
	seen := map[netip.Addr]bool{}
	var all []netip.Addr
	for _, list := range [][]string{c.Bootstrap, c.Relay.Static} {
		for _, text := range list {
			if ip := addressOf(text); ip.IsValid() && !ip.IsLoopback() && !seen[ip] {
				seen[ip] = true
				all = append(all, ip)
			}
		}
	}
	return all
}
