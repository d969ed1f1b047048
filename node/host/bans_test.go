package host

import (
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
)

func TestTargets(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1/32": "192.0.2.1", "192.0.2.77/24": "192.0.2.0/24", "::ffff:192.0.2.1": "192.0.2.1",
		"::ffff:192.0.2.0/120": "192.0.2.0/24", "2001:db8::1": "2001:db8::1", "2001:db8::1/48": "2001:db8::/48", somebody: somebody,
		"10.0.0.0/8": "10.0.0.0/8",
		// These are none.
		"": "", "192.0.2": "", "0.0.0.0/0": "", "10.0.0.0/7": "", "2000::/3": "", "::ffff:0:0/96": "", "example.org": "", "/ip4/192.0.2.1/tcp/1": "",
	} {
		got, err := ParseTarget(text)
		if none := want == ""; none != errors.Is(err, ErrBan) || !none && got.String() != want {
			t.Errorf("%q is %s, %v, want %q", text, got, err, want)
		}
	}
}

// A ban cuts off who is here, keeps out who comes, and ends.
func TestBans(t *testing.T) {
	h, other := listening(t), listening(t)
	info := peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
	theirs := peer.AddrInfo{ID: other.ID(), Addrs: other.Addrs()}
	if err := other.Connect(t.Context(), info); err != nil {
		t.Fatal(err)
	}
	loopback, err := ParseTarget("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []Target{{Peer: other.ID()}, loopback} {
		h.SetBans([]Target{target})
		if n := len(h.Network().ConnsToPeer(other.ID())); n > 0 {
			t.Errorf("%s is banned and has %d connections", target, n)
		}
		for other.Network().Connectedness(h.ID()) == network.Connected { // it hears of it
			if t.Context().Err() != nil {
				t.Fatal("it does not hear of the ban")
			}
		}
		_ = other.Connect(t.Context(), info) // it may only learn later
		if n := len(h.Network().ConnsToPeer(other.ID())); n > 0 {
			t.Errorf("%s is banned and came back", target)
		}
		if err := h.Connect(t.Context(), theirs); err == nil {
			t.Errorf("%s is banned and was dialled", target)
		}
	}
	h.SetBans(nil)
	clearBackoff(h, other.ID())
	if err := h.Connect(t.Context(), theirs); err != nil {
		t.Errorf("after the ban: %v", err)
	}
}

// clearBackoff has a peer dialled again at once that could not be before.
func clearBackoff(h *Host, p peer.ID) {
	if s, ok := h.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(p)
	}
}
