package records

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func TestHolders(t *testing.T) {
	holder := func(a string) Holder {
		t.Helper()
		if a == "" {
			return HolderOf(nil, name(1))
		}
		parsed, err := ma.NewMultiaddr(a)
		if err != nil {
			t.Fatal(err)
		}
		return HolderOf(parsed, name(1))
	}
	const relay = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit"
	for _, c := range []struct {
		a, b          string
		same, network bool
	}{
		{"/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/udp/2/quic-v1", true, true},
		{"/ip4/192.0.2.1/tcp/1", "/ip6/::ffff:192.0.2.1/tcp/1", true, true},
		{"/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.255/tcp/1", false, true},
		{"/ip4/192.0.2.1/tcp/1", "/ip4/192.0.3.1/tcp/1", false, false},
		{"/ip6/2001:db8:1:2::1/tcp/1", "/ip6/2001:db8:1:2ff::1/tcp/1", false, true},
		{"/ip6/2001:db8:1:200::1/tcp/1", "/ip6/2001:db8:1:2ff::1/tcp/1", true, true},
		{"/ip6/2001:db8:1:200::1/tcp/1", "/ip6/2001:db8:2:200::1/tcp/1", false, false},
		{"/ip4/192.0.2.1/tcp/1" + relay, "/ip4/198.51.100.1/tcp/1" + relay, true, true},
		{"/ip4/192.0.2.1/tcp/1" + relay, "/ip4/192.0.2.1/tcp/1", false, false},
		{"", "/dns4/example.com/tcp/1", true, true},
		{"", "/ip4/127.0.0.1/tcp/1", false, false},
	} {
		a, b := holder(c.a), holder(c.b)
		if (a == b) != c.same || (a.Network() == b.Network()) != c.network {
			t.Errorf("%s and %s are %s and %s", c.a, c.b, a, b)
		}
		if a == Own || b == Own {
			t.Errorf("%s or %s is this peer", c.a, c.b)
		}
	}
	loopback, err := ma.NewMultiaddr("/ip4/127.0.0.1/tcp/1")
	if err != nil {
		t.Fatal(err)
	}
	if HolderOf(loopback, name(1)) == HolderOf(loopback, name(2)) {
		t.Error("two peers of this machine are one holder")
	}
}

func FuzzSlot(f *testing.F) {
	var b [slotSize]byte
	if err := (record{kind: anothers, made: epoch, holder: at(1, 1), key: key(1), provider: name(1)}).encode(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b[:], []byte("key"), "peer", uint64(1))
	f.Fuzz(func(t *testing.T, raw, key []byte, p string, holder uint64) {
		var b, again [slotSize]byte
		copy(b[:], raw)
		if r, err := decode(&b); err == nil && r.kind != vacantSlot {
			if err := r.encode(&again); err != nil {
				t.Errorf("%+v cannot be written: %v", r, err)
			}
		}
		r := record{kind: anothers, made: epoch, holder: Holder(holder | 1), key: key, provider: peer.ID(p)}
		if r.encode(&b) != nil {
			return
		}
		got, err := decode(&b)
		if err != nil || string(got.key) != string(key) || got.provider != r.provider || got.holder != r.holder || !got.made.Equal(epoch) {
			t.Errorf("%+v is read as %+v, %v", r, got, err)
		}
	})
}
