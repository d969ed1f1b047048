package exchange

import (
	"net/netip"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func TestOriginOf(t *testing.T) {
	own := origin{prefix: group{name: "place of p"}, address: group{name: "peer p"}}
	const relay = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
	for name, c := range map[string]struct {
		addrs []string
		want  origin
	}{
		"no address":                 {nil, own},
		"loopback":                   {[]string{"/ip4/127.0.0.1/tcp/1"}, own},
		"a name":                     {[]string{"/dnsaddr/example.com"}, own},
		"IPv4":                       {[]string{"/ip4/11.0.1.7/tcp/1"}, at(11, 0, 1, 7)},
		"IPv4 within IPv6":           {[]string{"/ip6/::ffff:11.0.1.7/tcp/1"}, at(11, 0, 1, 7)},
		"the first of several":       {[]string{"/dns4/example.com/tcp/1", "/ip4/11.0.1.7/tcp/1", "/ip4/11.0.2.7/tcp/1"}, at(11, 0, 1, 7)},
		"through a relay":            {[]string{"/ip4/11.0.1.7/tcp/1/p2p/" + relay + "/p2p-circuit"}, origin{prefix: group{name: "relay " + relay}, address: own.address}},
		"IPv6, by /48 and then /56":  {[]string{"/ip6/2001:db8:1:2ff::1/tcp/1"}, six("2001:db8:1::/48", "2001:db8:1:200::/56")},
		"IPv6 of the same /48, else": {[]string{"/ip6/2001:db8:1:300::1/udp/1/quic-v1"}, six("2001:db8:1::/48", "2001:db8:1:300::/56")},
	} {
		var addrs []ma.Multiaddr
		for _, text := range c.addrs {
			addrs = append(addrs, ma.StringCast(text))
		}
		want := c.want
		want.known = false
		if got := originIn(peer.ID("p"), addrs, ""); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		said := originSaid(peer.ID("p"), addrs)
		if len(addrs) == 0 {
			continue
		}
		conn := originOf(peer.ID("p"), addrs[0])
		if !conn.known || said.known || conn.prefix == said.prefix && conn.prefix != own.prefix {
			t.Errorf("%s: connected %+v, said %+v", name, conn, said)
		}
	}
}

func six(prefix, address string) origin {
	return origin{prefix: group{prefix: netip.MustParsePrefix(prefix)}, address: group{prefix: netip.MustParsePrefix(address)}}
}

// at returns the origin of an address.
func at(a, b, c, d int) origin {
	addr := netip.AddrFrom4([4]byte{byte(a), byte(b), byte(c), byte(d)})
	prefix, _ := addr.Prefix(24)
	address, _ := addr.Prefix(32)
	return origin{group{prefix: prefix}, group{prefix: address}, true}
}
