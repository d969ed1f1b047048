package host

import (
	"net/netip"

	"github.com/decube/decube/internal/admission"
)

// making bounds the connections over QUIC that are in their handshake, so that those who let
// theirs stand still leave the rest of what libp2p has for such to TCP. None of them can be
// ended before quic-go does so, after five seconds and more, so that the newcomer is refused:
// who holds some when half of them are taken, and who has as many as one address may have. It
// is pure, and not safe for concurrent use.
type making struct {
	most     int
	all      map[string]*handshake // by address and port
	holders  map[netip.Prefix]int  // how many are an address's or a network's
	unproved int                   // of addresses that may be made up
}

// handshake is one of them.
type handshake struct {
	id     string
	ip     netip.Addr
	proved bool
}

func newMaking(most int) *making {
	return &making{most: max(1, most), all: map[string]*handshake{}, holders: map[netip.Prefix]int{}}
}

// mayMakeUp reports whether one more address may be one that is made up. A quarter may: they
// cost who sends them a packet each.
func (m *making) mayMakeUp() bool { return m.unproved < max(1, m.most/4) }

// begin notes a handshake, and returns nil if there may be none. Who begins one of the same
// address and port again is told so too: of the earlier one the end has not come.
func (m *making) begin(id string, ip netip.Addr, proved bool) *handshake {
	address, prefix := holdersOf(ip)
	switch {
	case m.all[id] != nil, len(m.all) >= m.most, m.holders[address] >= handshakesPerAddress:
		return nil
	case len(m.all) >= m.most/2 && m.holders[prefix] > 0, !proved && !m.mayMakeUp():
		return nil
	}
	h := &handshake{id, ip, proved}
	m.all[id] = h
	m.count(h, 1)
	return h
}

// secured notes that a handshake has come to its end.
func (m *making) secured(id string) { m.end(m.all[id]) }

// end notes that a handshake, or its connection, has ended.
func (m *making) end(h *handshake) {
	if h != nil && m.all[h.id] == h {
		delete(m.all, h.id)
		m.count(h, -1)
	}
}

func (m *making) count(h *handshake, n int) {
	address, prefix := holdersOf(h.ip)
	for _, of := range []netip.Prefix{address, prefix} {
		if m.holders[of] += n; m.holders[of] == 0 {
			delete(m.holders, of)
		}
	}
	if !h.proved {
		m.unproved += n
	}
}

// holdersOf returns what counts as the address and as the network of one, which differ in their
// lengths.
func holdersOf(ip netip.Addr) (address, prefix netip.Prefix) {
	return admission.AddressOf(ip), admission.PrefixOf(ip)
}
