package exchange

import (
	"net/netip"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/internal/admission"
)

// group is what peers share who may be one holder's: a network, an address, a relay. What
// a peer shares with nobody is a group of its own.
type group struct {
	prefix netip.Prefix
	name   string
}

// origin is where a peer is, as far as that says who shares it. Where it only says that it
// is, is a group of those who say so, and is not known: nobody is to crowd out, or to bring
// into disrepute, those who are really there.
type origin struct {
	prefix, address group
	known           bool
}

// originOf returns where a peer is that has a connection to an address.
func originOf(id peer.ID, conn ma.Multiaddr) origin {
	o := originIn(id, []ma.Multiaddr{conn}, "")
	o.known = true
	return o
}

// originSaid returns where a peer says that it is: at the first of its addresses that has
// one of the network.
func originSaid(id peer.ID, addrs []ma.Multiaddr) origin { return originIn(id, addrs, "said") }

func originIn(id peer.ID, addrs []ma.Multiaddr, name string) origin {
	for _, a := range addrs {
		if relay, relayed := relayOf(a); relayed {
			return origin{prefix: group{name: name + "relay " + relay}, address: group{name: "peer " + string(id)}}
		}
		ip, err := manet.ToIP(a)
		if err != nil {
			continue // a name, which may be anybody's
		}
		at, ok := netip.AddrFromSlice(ip)
		if !ok || at.Unmap().IsLoopback() {
			break // who is on this machine is a place of its own
		}
		return origin{prefix: group{admission.PrefixOf(at), name}, address: group{admission.AddressOf(at), name}}
	}
	return origin{prefix: group{name: "place of " + string(id)}, address: group{name: "peer " + string(id)}}
}

// relayOf returns the relay of an address that leads through one.
func relayOf(a ma.Multiaddr) (relay string, relayed bool) {
	for _, c := range a {
		switch c.Protocol().Code {
		case ma.P_P2P:
			relay = c.Value()
		case ma.P_CIRCUIT:
			return relay, true
		}
	}
	return "", false
}
