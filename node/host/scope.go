package host

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/internal/config"
)

// Scope says which addresses of other peers may be dialled. Where a peer is, others tell:
// whoever can have a record believed can have a peer send packets to any address, its own
// machine's and its neighbours' included.
type Scope string

// The scopes. With ScopeAuto what is configured decides, see Config.DialScope.
const (
	ScopeAuto    Scope = "auto"
	ScopePublic  Scope = "public"  // addresses of the internet
	ScopePrivate Scope = "private" // those, and of private networks
	ScopeLocal   Scope = "local"   // all, this machine's own included
)

// Validate checks the scope's name.
func (s Scope) Validate() error {
	if !slices.Contains([]Scope{ScopeAuto, ScopePublic, ScopePrivate, ScopeLocal}, s) {
		return config.Invalid("", s, "want auto, public, private or local")
	}
	return nil
}

// DialScope returns the scope that is in force. Auto is local for a peer that listens on this
// machine alone, or has bootstrap peers on it; public where an address to listen on or to
// announce, or that of a bootstrap peer, is of the internet; and else private. Names say
// nothing: who knows what they stand for tomorrow.
func (c Config) DialScope() Scope {
	if c.Scope != ScopeAuto {
		return c.Scope
	}
	if c.LoopbackOnly() {
		return ScopeLocal
	}
	scope := ScopePrivate
	for _, text := range slices.Concat(c.Bootstrap, c.Listen, c.Announce) {
		ip := addressOf(text)
		switch {
		case !ip.IsValid() || ip.IsUnspecified():
		case ip.IsLoopback():
			return ScopeLocal
		case reach(ip) == ScopePublic:
			scope = ScopePublic
		}
	}
	return scope
}

// addressOf returns the IP address that a multiaddr begins with, or none.
func addressOf(text string) netip.Addr {
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return ipOf(a)
}

// ipOf returns the IP address that a multiaddr begins with, IPv4 as such however it is
// written, or none.
func ipOf(a ma.Multiaddr) netip.Addr {
	raw, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(raw)
	ip = ip.Unmap()
	for _, p := range embedding {
		if p.Contains(ip) {
			b := ip.As16()
			at := p.Bits() / 8
			ip = netip.AddrFrom4([4]byte(b[at : at+4]))
			break
		}
	}
	return ip
}

// embedding are the networks of IPv6 whose addresses hold one of IPv4 behind the prefix:
// translation by NAT64, and 6to4.
var embedding = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16")}

// nowhere are networks that no peer is in, beside those that netip knows: this network,
// shared addresses of providers, protocol assignments, documentation, benchmarks, reserved,
// local NAT64, discard, documentation again, and IPv4 in forms that nobody routes.
var nowhere = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("::ffff:0:0:0/96"),
}

// shared are networks that are private without being called so: a provider's own between it
// and its customers, what benchmarks use, and the site's own of IPv6, which is not given out
// any more.
var shared = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("fec0::/10"),
}

// reach returns the least scope in which an address may be dialled.
func reach(ip netip.Addr) Scope {
	within := func(p netip.Prefix) bool { return p.Contains(ip) }
	switch {
	case ip.IsLoopback(), ip.IsUnspecified(), ip.IsLinkLocalUnicast(), ip.IsMulticast(), slices.ContainsFunc(nowhere, within):
		return ScopeLocal
	case ip.IsPrivate(), slices.ContainsFunc(shared, within):
		return ScopePrivate
	default:
		return ScopePublic
	}
}

// mostTold bounds the addresses that somebody of this peer's own has named, and those that
// names among them stand for.
const mostTold = 4096

// dials decides which addresses may be dialled. It is safe for concurrent use.
type dials struct {
	scope Scope

	mu    sync.Mutex
	addrs map[string]bool     // named here, without the peer
	names map[string][]string // named here, without the peer, and what they stood for last
	order []string            // of those, which may be forgotten, the oldest first
}

func newDials(scope Scope) *dials {
	return &dials{scope: scope, addrs: map[string]bool{}, names: map[string][]string{}}
}

// told notes addresses that the operator, the settings or a document of this peer's own name:
// they may be dialled wherever they are.
func (d *dials) told(infos ...peer.AddrInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, info := range infos {
		for _, a := range info.Addrs {
			d.tell(a)
		}
	}
}

// configured is told for good: what the settings name is never forgotten.
func (d *dials) configured(infos ...peer.AddrInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, info := range infos {
		for _, a := range info.Addrs {
			d.note(a)
		}
	}
}

// tell notes an address for as long as there are not too many later ones.
func (d *dials) tell(a ma.Multiaddr) {
	if !d.note(a) {
		return
	}
	if d.order = append(d.order, bare(a)); len(d.order) > mostTold {
		delete(d.addrs, d.order[0])
		delete(d.names, d.order[0])
		d.order = d.order[1:]
	}
}

// note notes an address, and reports whether it was not known.
func (d *dials) note(a ma.Multiaddr) bool {
	key := bare(a)
	if ipOf(a).IsValid() {
		known := d.addrs[key]
		d.addrs[key] = true
		return !known
	}
	_, known := d.names[key]
	if !known {
		d.names[key] = nil
	}
	return !known
}

// bare returns an address without the peer that it ends with, as a key.
func bare(a ma.Multiaddr) string {
	at, _ := peer.SplitAddr(a)
	return string(at.Bytes())
}

// found notes what a name stands for, if it was told: its addresses of now, not those of
// before, and names that it leads to. What others say of the peer it belongs to is not among
// them.
func (d *dials) found(name ma.Multiaddr, stands []ma.Multiaddr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, told := d.names[bare(name)]; !told {
		return
	}
	var addrs []string
	for _, a := range stands[:min(len(stands), mostPerName)] {
		if ipOf(a).IsValid() {
			addrs = append(addrs, bare(a))
		} else {
			d.tell(a)
		}
	}
	if _, told := d.names[bare(name)]; told { // those that it leads to may have taken its place
		d.names[bare(name)] = addrs
	}
}

// mostPerName is how many addresses a name may stand for.
const mostPerName = 64

// may reports whether an address of a peer may be dialled.
func (d *dials) may(a ma.Multiaddr) bool {
	if d.scope == ScopeLocal {
		return true
	}
	ip := ipOf(a)
	if !ip.IsValid() {
		return true // it is resolved before it is dialled, and comes again
	}
	need := reach(ip)
	if need == ScopePublic || need == d.scope {
		return true
	}
	key := bare(a)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.addrs[key] {
		return true
	}
	for _, stands := range d.names {
		if slices.Contains(stands, key) {
			return true
		}
	}
	return false
}

// resolver looks up names, and tells dials what those stand for.
type resolver struct {
	network.MultiaddrDNSResolver

	dials *dials
}

// ResolveDNSAddr implements network.MultiaddrDNSResolver.
func (r resolver) ResolveDNSAddr(ctx context.Context, expected peer.ID, a ma.Multiaddr, recursion, most int) ([]ma.Multiaddr, error) {
	stands, err := r.MultiaddrDNSResolver.ResolveDNSAddr(ctx, expected, a, recursion, most)
	if err == nil {
		r.dials.found(a, stands)
	}
	return stands, err
}

// ResolveDNSComponent implements network.MultiaddrDNSResolver.
func (r resolver) ResolveDNSComponent(ctx context.Context, a ma.Multiaddr, most int) ([]ma.Multiaddr, error) {
	stands, err := r.MultiaddrDNSResolver.ResolveDNSComponent(ctx, a, most)
	if err == nil {
		r.dials.found(a, stands)
	}
	return stands, err
}
