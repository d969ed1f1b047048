package host

import (
	"net/netip"
	"testing"
	"time"

	"github.com/decube/decube/internal/limits"
)

// A thousand strangers of 264 networks that begin a connection each second, and somebody of
// another network now and then.
func TestArrivals(t *testing.T) {
	for full, most := range map[bool]int{true: 16*60 + 64, false: 64*60 + 256} {
		a := newArrivals()
		begun := 0
		for ms := range 60_000 {
			now := time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond)
			net := ms % 264
			if a.allow(now, netip.AddrFrom4([4]byte{10, byte(net / 256), byte(net), byte(ms)}), full) {
				begun++
			}
			if ms%5000 == 4999 && !a.allow(now, netip.AddrFrom4([4]byte{192, 0, 2, 1}), full) {
				t.Errorf("full %t: somebody is refused after %d ms", full, ms)
			}
		}
		own := 264 * (arrivalsPerPrefix + int(time.Minute/arrivalsEvery))
		if begun > own+most || begun < most {
			t.Errorf("full %t: %d connections begun in a minute, want at most %d and %d", full, begun, own, most)
		}
	}
}

// Addresses that are made up take a bounded memory, and leave those that are known what they
// have.
func TestArrivalsOfMadeUpAddresses(t *testing.T) {
	a := newArrivals()
	now := time.Unix(0, 0)
	known := netip.MustParseAddr("192.0.2.1")
	if !a.allow(now, known, false) {
		t.Error("the first is refused")
	}
	for i := range 2 * mostArrived {
		a.allow(now, netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}), false)
	}
	if n := len(a.own.buckets); n > mostArrived {
		t.Errorf("%d networks are remembered", n)
	}
	if !a.allow(now, known, false) || a.allow(now, netip.MustParseAddr("198.51.100.1"), false) {
		t.Error("who is known is refused, or who is not has one when all have had theirs")
	}
	later := now.Add(time.Minute)
	if !a.allow(later, netip.MustParseAddr("198.51.100.1"), false) || len(a.own.buckets) != 1 {
		t.Errorf("a minute later somebody new is refused, or %d are remembered", len(a.own.buckets))
	}
}

// Whoever has a /32 of IPv6 has 65,536 networks: what these have of their own is bounded by what
// all of it has, and none of it is remembered but who has had something.
func TestArrivalsOfOneProviderOfIPv6(t *testing.T) {
	a := newArrivals()
	begun := 0
	from := func(wide, network int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, byte(wide), byte(network >> 8), byte(network), 15: 1})
	}
	for s := range 60 {
		now := time.Unix(int64(s), 0)
		for network := range 1 << 16 {
			if a.allow(now, from(0, network), true) {
				begun++
			}
		}
		if s%10 == 9 && (!a.allow(now, from(1, s), true) || !a.allow(now, netip.MustParseAddr("192.0.2.1"), true)) {
			t.Errorf("somebody else is refused after %d s", s)
		}
	}
	if most := 8*(arrivalsPerPrefix+int(time.Minute/arrivalsEvery)) + 4*arrivalsWhenFull + 60*arrivalsWhenFull; begun > most {
		t.Errorf("%d connections begun in a minute, want at most %d", begun, most)
	}
	if n := len(a.own.buckets); n > 1000 {
		t.Errorf("%d networks are remembered", n)
	}
}

// An honest swarm of one network, all of whom come back at once, is in within seconds.
func TestArrivalsOfOneNetwork(t *testing.T) {
	a := newArrivals()
	now := time.Unix(0, 0)
	in := 0
	for i := range 250 {
		if a.allow(now, netip.AddrFrom4([4]byte{192, 168, 1, byte(i)}), false) {
			in++
		}
	}
	if in != 250 {
		t.Errorf("%d of 250 are in at once", in)
	}
}

// Packets of QUIC from addresses that are made up, those of an honest network among them, take
// nothing of what that has: from some number on addresses have to be proved.
func TestMadeUpAddressesTakeNothing(t *testing.T) {
	budget, err := limits.NewBudget(limits.Machine{Memory: 2 << 30, Files: 4096})
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(ScopePublic, budget)
	now := time.Unix(0, 0)
	g.now = func() time.Time { return now }
	honest := netip.MustParseAddr("192.0.2.1")
	if g.prove() {
		t.Error("an address has to be proved before anybody came")
	}
	begun := 0
	for range 10_000 {
		if g.arrivesOver(honest, false) {
			begun++
		}
	}
	if begun != 4*arrivalsPerSecond || !g.prove() {
		t.Errorf("%d begun of made-up addresses; to be proved: %t", begun, g.prove())
	}
	for range arrivalsPerPrefix {
		if !g.arrivesOver(honest, true) || !g.arrives(netip.MustParseAddr("198.51.100.1")) {
			t.Error("who is at its address is refused")
		}
	}
	now = now.Add(time.Minute)
	g.full.Store(true)
	if !g.prove() {
		t.Error("where newcomers displace others an address need not be proved")
	}
}
