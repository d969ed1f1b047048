package host

import (
	"net/netip"
	"time"
)

// handshakeTimeout bounds a handshake of an inbound connection over TCP. libp2p waits 15 s.
const handshakeTimeout = 5 * time.Second

// handshakesPerAddress is how many connections of one address may be in their handshake.
const handshakesPerAddress = 8

// handshakes knows the inbound connections that are not secured yet. Until they are nobody
// is behind them, and they cost who opens them a packet: whoever has most of them loses the
// oldest when there are too many. It is pure, and not safe for concurrent use.
type handshakes struct {
	most   int // at a time
	all    map[string]*handshake
	byAddr map[netip.Prefix][]*handshake // the oldest first
}

// handshake is one of them.
type handshake struct {
	remote string // address and port
	from   netip.Prefix
	since  time.Time
	cut    func() // ends it
}

func newHandshakes(most int) *handshakes {
	return &handshakes{most: most, all: map[string]*handshake{}, byAddr: map[netip.Prefix][]*handshake{}}
}

// begin notes a connection, and returns what ends those that have to make room for it.
func (h *handshakes) begin(now time.Time, remote string, from netip.Prefix, cut func()) (cuts []func()) {
	h.expire(now)
	h.end(remote) // of an earlier one nobody has heard the end
	one := &handshake{remote, from, now, cut}
	h.all[remote] = one
	h.byAddr[from] = append(h.byAddr[from], one)
	if len(h.byAddr[from]) > handshakesPerAddress {
		cuts = append(cuts, h.drop(from))
	}
	if len(h.all) > h.most {
		cuts = append(cuts, h.drop(h.largest()))
	}
	return cuts
}

// end notes that a connection is secured.
func (h *handshakes) end(remote string) {
	if one := h.all[remote]; one != nil {
		h.forget(one)
	}
}

// drop forgets the oldest of an address and returns what ends it.
func (h *handshakes) drop(from netip.Prefix) func() {
	oldest := h.byAddr[from][0]
	h.forget(oldest)
	return oldest.cut
}

// largest returns the address that has most, of several the one with the oldest.
func (h *handshakes) largest() (most netip.Prefix) {
	for from, list := range h.byAddr {
		than := h.byAddr[most]
		if len(list) > len(than) || len(list) == len(than) && list[0].since.Before(than[0].since) {
			most = from
		}
	}
	return most
}

// expire forgets those that have ended by themselves, of which nobody tells.
func (h *handshakes) expire(now time.Time) {
	for _, one := range h.all {
		if now.Sub(one.since) > handshakeTimeout {
			h.forget(one)
		}
	}
}

func (h *handshakes) forget(one *handshake) {
	delete(h.all, one.remote)
	list := h.byAddr[one.from]
	for i := range list {
		if list[i] == one {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if h.byAddr[one.from] = list; len(list) == 0 {
		delete(h.byAddr, one.from)
	}
}

// addressPrefix is what counts as one address: all of one IPv4 address, and the /56 of an
// IPv6 address, which is what a customer of a provider has.
func addressPrefix(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 56
	}
	p, _ := ip.Prefix(bits) // without an address it is the zero prefix
	return p
}
