package attack

import (
	"bufio"
	"context"
	"crypto/rand"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

const home = "home"

// peerOf returns a peer of libp2p's own on loopback, which takes part in the DHT,
// serves a snapshot of four blocks, and answers statesync with nothing.
func peerOf(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"), libp2p.ForceReachabilityPublic(),
		libp2p.EnableRelayService(), libp2p.EnableNATService(), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() }) // it has done its work
	d, err := kad.New(h, kad.ProtocolPrefix("/decube/"+home), kad.Mode(kad.ModeServer), kad.DisableValues())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // as above
	h.SetStreamHandler(exchangeID, func(s network.Stream) {
		defer s.Close()
		r := bufio.NewReader(s)
		for {
			body, err := wire.ReadFrame(r, most, nil)
			if err != nil {
				return
			}
			kind, id, err := asked(body)
			if err != nil {
				return
			}
			answer := HaveAll(id, 4)
			if kind != 0x01 {
				answer = append(Block(id, 0, make([]byte, 64<<10)), 0x84, byte(id))
			}
			if _, err := s.Write(answer); err != nil {
				return
			}
		}
	})
	h.SetStreamHandler(statesyncID, func(s network.Stream) {
		_, _ = io.Copy(io.Discard, s) // it is never answered
		_ = s.Close()
	})
	return h
}

// Every attack does something to a peer that is there, and is over when it is told so.
func TestEveryAttackAttacksAndEnds(t *testing.T) {
	victim, honest := peerOf(t), peerOf(t)
	root := block.New(block.Raw, []byte("root")).ID().String()
	target := Target{
		Network: home, Zone: "stranger.test", Served: []string{root}, Wanted: []string{root}, Traps: []string{"/ip4/127.0.0.1/tcp/9"},
		Victim: peer.AddrInfo{ID: victim.ID(), Addrs: victim.Addrs()}, Honest: []peer.AddrInfo{{ID: honest.ID(), Addrs: honest.Addrs()}},
	}
	key, err := sig.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	target.Turned.Key = key.Encode()
	for i, a := range All() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			attacks(t, a, target, netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i)}), stranger.Noise, stranger.TLS)
		})
		if !a.TCP {
			t.Run(a.Name+"-quic", func(t *testing.T) {
				t.Parallel()
				attacks(t, a, target, netip.AddrFrom4([4]byte{127, 0, 2, byte(1 + i)}), stranger.QUIC)
			})
		}
	}
}

// didMore reports whether more was done than to be refused.
func didMore(counts map[string]int64) bool {
	delete(counts, "connections refused")
	return len(counts) > 0
}

// attacks makes an attack until it has done something.
func attacks(t *testing.T, a Attack, target Target, own netip.Addr, speeches ...stranger.Speech) {
	t.Helper()
	if a.Needs.Names && os.Geteuid() != 0 {
		t.Skip("port 53 takes root")
	}
	all, err := stranger.Crowd(min(a.Identities, 3), []netip.Addr{own}, speeches...)
	if err != nil {
		t.Fatal(err)
	}
	arena := NewArena(target, all, own)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, arena) }()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for look := time.NewTicker(10 * time.Millisecond); !didMore(arena.Counts()); {
		select {
		case <-look.C:
		case err := <-ended:
			t.Fatalf("it ended by itself: %v", err)
		case <-late.C:
			t.Fatal("nothing was done")
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-late.C:
		t.Error("it goes on after its end")
	}
}
