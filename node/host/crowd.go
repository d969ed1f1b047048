package host

import (
	"cmp"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/admission"
)

// settled is how old a connection is that had time to be used.
const settled = 2 * time.Second

// guest is an inbound connection as far as it matters for who has to go.
type guest struct {
	conn    network.Conn
	peer    peer.ID
	ip      netip.Addr // none where a relay hides it
	relay   string     // through which it comes, empty for none
	opened  time.Time
	streams int
}

// guestOf returns what matters of a connection. A relay is not who comes through it.
func guestOf(c network.Conn) guest {
	stat := c.Stat()
	g := guest{conn: c, peer: c.RemotePeer(), ip: ipOf(c.RemoteMultiaddr()), opened: stat.Opened, streams: stat.NumStreams}
	if isRelayed(c.RemoteMultiaddr()) {
		_, g.relay = addressed(c.RemoteMultiaddr()).Address()
		g.ip = netip.Addr{}
	}
	return g
}

// quarter is a network, or all who come through one relay.
type quarter struct {
	network netip.Prefix
	relay   string
}

func (g guest) prefix() quarter  { return quarter{admission.PrefixOf(g.ip), g.relay} }
func (g guest) address() quarter { return quarter{admission.AddressOf(g.ip), g.relay} }

// provider returns the /32 of an address of IPv6, in which there are 65,536 prefixes, and of all
// others the prefix.
func (g guest) provider() quarter {
	if g.ip.Is6() && !g.ip.Is4In6() {
		if around, err := g.ip.WithZone("").Prefix(32); err == nil {
			return quarter{around, g.relay}
		}
	}
	return g.prefix()
}

// providerShare, prefixShare and addressShare are which part of all connections these may hold
// before that alone has them lose some.
const providerShare, prefixShare, addressShare = 4, 8, 16

// leaving returns which of some connections goes first, when one has to, or -1 for none. A
// provider, then a prefix, and then an address, that holds more than its share loses first,
// whatever it does with it: to have a stream open costs nothing. Then what is settled and unused goes before
// all others, and who holds most loses first, by prefix, then by address, then by peer; of
// those it is the oldest. Equals are told apart by their place in the list. It is pure.
func leaving(guests []guest, now time.Time) int {
	byProvider, byPrefix, byAddr, byPeer := map[quarter]int{}, map[quarter]int{}, map[quarter]int{}, map[peer.ID]int{}
	for _, g := range guests {
		byProvider[g.provider()]++
		byPrefix[g.prefix()]++
		byAddr[g.address()]++
		byPeer[g.peer]++
	}
	idle := func(g guest) int {
		if g.streams == 0 && now.Sub(g.opened) >= settled {
			return 1
		}
		return 0
	}
	above := func(n, share int) int { return max(0, n-max(1, len(guests)/share)) }
	first := -1
	for i, g := range guests {
		if first < 0 {
			first = i
			continue
		}
		than := guests[first]
		if cmp.Or(
			cmp.Compare(above(byProvider[than.provider()], providerShare), above(byProvider[g.provider()], providerShare)),
			cmp.Compare(above(byPrefix[than.prefix()], prefixShare), above(byPrefix[g.prefix()], prefixShare)),
			cmp.Compare(above(byAddr[than.address()], addressShare), above(byAddr[g.address()], addressShare)),
			cmp.Compare(idle(than), idle(g)),
			cmp.Compare(byPrefix[than.prefix()], byPrefix[g.prefix()]),
			cmp.Compare(byAddr[than.address()], byAddr[g.address()]),
			cmp.Compare(byPeer[than.peer], byPeer[g.peer]),
			g.opened.Compare(than.opened), // the older one leaves
		) < 0 {
			first = i
		}
	}
	return first
}

// Holder is a network that peers are in, and what they hold together.
type Holder struct {
	Network               netip.Prefix // the zero value where it is not known
	Peers, Conns, Streams int
}

// Holders returns who holds most, the networks with most connections first, and of equals
// those with most streams; at most so many.
func (h *Host) Holders(most int) []Holder {
	type seen struct {
		network netip.Prefix
		peer    peer.ID
	}
	all, peers := map[netip.Prefix]*Holder{}, map[seen]bool{}
	for _, c := range h.Network().Conns() {
		network := admission.PrefixOf(ipOf(c.RemoteMultiaddr()))
		holder := all[network]
		if holder == nil {
			holder = &Holder{Network: network}
			all[network] = holder
		}
		holder.Conns++
		holder.Streams += c.Stat().NumStreams
		if one := (seen{network, c.RemotePeer()}); !peers[one] {
			peers[one] = true
			holder.Peers++
		}
	}
	list := make([]Holder, 0, len(all))
	for _, holder := range all {
		list = append(list, *holder)
	}
	slices.SortFunc(list, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(b.Conns, a.Conns), cmp.Compare(b.Streams, a.Streams), a.Network.Compare(b.Network))
	})
	return list[:min(len(list), most)]
}

// door closes connections when there is hardly room for newcomers. libp2p's connection
// manager looks every ten seconds, spares whoever is young, and only from the high watermark
// on; above the limit newcomers are refused. It is a network.Notifiee.
type door struct {
	host host.Host
	most int // inbound connections
	full *atomic.Bool
	log  *slog.Logger

	came chan struct{} // one is enough
	done sync.WaitGroup
	stop chan struct{}

	mu      sync.Mutex
	closing map[network.Conn]bool
}

// watchDoor keeps the inbound connections of h below so many, until close is called, and says
// whether there are so many.
func watchDoor(h host.Host, most int, full *atomic.Bool, log *slog.Logger) *door {
	d := &door{
		host: h, most: most, full: full, log: log, came: make(chan struct{}, 1), stop: make(chan struct{}), closing: map[network.Conn]bool{},
	}
	h.Network().Notify(d)
	d.done.Go(d.run)
	return d
}

// close waits until no connection is looked at or closed any more.
func (d *door) close() {
	d.host.Network().StopNotify(d)
	close(d.stop)
	d.done.Wait()
}

func (d *door) run() {
	for {
		select {
		case <-d.stop:
			return
		case <-d.came:
			for d.closeOne() {
			}
		}
	}
}

// closeOne closes a connection if there are too many, and reports whether it did.
func (d *door) closeOne() bool {
	var guests []guest
	inbound := 0
	for _, c := range d.host.Network().Conns() {
		stat := c.Stat()
		if stat.Direction != network.DirInbound || c.IsClosed() || d.isClosing(c) {
			continue
		}
		inbound++
		if !d.host.ConnManager().IsProtected(c.RemotePeer(), "") {
			guests = append(guests, guestOf(c))
		}
	}
	d.full.Store(inbound >= d.most)
	if inbound <= d.most {
		return false
	}
	i := leaving(guests, time.Now())
	if i < 0 {
		return false
	}
	c := guests[i].conn
	d.log.Debug("a connection makes room for others", "peer", c.RemotePeer().String(), "addr", c.RemoteMultiaddr().String())
	d.closeConn(c)
	return true
}

// closeConn closes a connection without waiting: who does not read what it is sent can hold up
// the closing of its connection for ten seconds, and would that of all others.
func (d *door) closeConn(c network.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closing[c] = true
	d.done.Go(func() {
		_ = c.CloseWithError(network.ConnGarbageCollected) // it is gone in any case
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.closing, c)
	})
}

func (d *door) isClosing(c network.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closing[c]
}

// Connected implements network.Notifiee.
func (d *door) Connected(_ network.Network, c network.Conn) {
	if c.Stat().Direction != network.DirInbound {
		return
	}
	select {
	case d.came <- struct{}{}:
	default: // it will be looked at
	}
}

// Disconnected implements network.Notifiee.
func (d *door) Disconnected(network.Network, network.Conn) {}

// Listen implements network.Notifiee.
func (d *door) Listen(network.Network, ma.Multiaddr) {}

// ListenClose implements network.Notifiee.
func (d *door) ListenClose(network.Network, ma.Multiaddr) {}

var _ network.Notifiee = (*door)(nil)
