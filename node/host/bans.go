package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// ErrBan is returned for what cannot be banned.
var ErrBan = errors.New("cannot be banned")

// widest4 and widest6 are the widest networks that can be banned, in bits of their prefix: a
// slip should not cut a peer off from half the internet.
const widest4, widest6 = 8, 16

// Target is whom a ban is about: a peer, or a network. One of the two is set.
type Target struct {
	Peer    peer.ID
	Network netip.Prefix
}

// ParseTarget reads a peer ID, an IP address or a network such as 192.0.2.0/24. The error is
// an ErrBan.
func ParseTarget(text string) (Target, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		ip = ip.Unmap().WithZone("")
		return Target{Network: netip.PrefixFrom(ip, ip.BitLen())}, nil
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p = p.Masked(); p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6 {
			return Target{}, fmt.Errorf("%w: %s is too much: want at least /%d for IPv4 and /%d for IPv6", ErrBan, text, widest4, widest6)
		}
		return Target{Network: p}, nil
	}
	if id, err := peer.Decode(text); err == nil {
		return Target{Peer: id}, nil
	}
	return Target{}, fmt.Errorf("%w: %q is neither a peer ID nor an IP address nor a network such as 192.0.2.0/24", ErrBan, text)
}

// String returns the target as ParseTarget reads it.
func (t Target) String() string {
	switch {
	case t.Peer != "":
		return t.Peer.String()
	case t.Network.IsSingleIP():
		return t.Network.Addr().String()
	default:
		return t.Network.String()
	}
}

// includes reports whether a peer at an address, which need not be known, is meant.
func (t Target) includes(p peer.ID, ip netip.Addr) bool {
	return t.Peer != "" && t.Peer == p || t.Network.IsValid() && ip.IsValid() && t.Network.Contains(ip)
}

// bans is whom this peer has nothing to do with. It is safe for concurrent use.
type bans struct {
	mu      sync.RWMutex
	targets []Target
}

// banned reports whether a peer at an address is banned. Either may be unknown.
func (b *bans) banned(p peer.ID, ip netip.Addr) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.ContainsFunc(b.targets, func(t Target) bool { return t.includes(p, ip) })
}

// SetBans bans these and nobody else. Connections with those who are banned are closed before
// it returns, and none is made or accepted from then on. Whoever comes through a relay is
// known by its peer ID alone.
func (h *Host) SetBans(targets []Target) {
	h.guard.bans.mu.Lock()
	h.guard.bans.targets = slices.Clone(targets)
	h.guard.bans.mu.Unlock()
	for _, c := range h.Network().Conns() {
		if h.guard.banned(c.RemotePeer(), ipOf(c.RemoteMultiaddr())) {
			_ = c.CloseWithError(network.ConnGated) // it is gone in any case
		}
	}
}
