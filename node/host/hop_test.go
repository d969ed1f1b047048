package host

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/multiformats/go-multistream"

	"github.com/decube/decube/internal/limits"
)

// relaying returns a relay on loopback, of a machine of 2 GiB.
func relaying(t *testing.T) *Host {
	t.Helper()
	budget, err := limits.NewBudget(limits.Machine{Memory: 2 << 30})
	if err != nil {
		t.Fatal(err)
	}
	return listeningAs(t, budget, func(cfg *Config) { cfg.Relay.Service = RelayOn })
}

// Some peers that have begun to ask a relay for something, and never say what, keep nobody else
// from asking.
func TestRelayIsNotHeldUp(t *testing.T) {
	h := relaying(t)
	info := peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
	held := 0
	for range 16 {
		other := listening(t)
		if err := other.Connect(t.Context(), info); err != nil {
			t.Fatal(err)
		}
		for range 32 {
			s, err := other.Network().ConnsToPeer(h.ID())[0].NewStream(network.WithAllowLimitedConn(t.Context(), ""))
			if err != nil {
				break
			}
			if multistream.SelectProtoOrFail(proto.ProtoIDv2Hop, s) == nil {
				held++
			}
		}
	}
	if held < 288 { // as many as libp2p has a relay serve there
		t.Fatalf("%d streams say nothing: too few to hold up anybody", held)
	}
	honest := listening(t)
	if err := honest.Connect(t.Context(), info); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Reserve(t.Context(), honest.Host, info); err != nil {
		t.Errorf("a reservation: %v", err)
	}
}
