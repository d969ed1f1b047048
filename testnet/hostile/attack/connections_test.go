package attack

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/testnet/hostile/stranger"
)

// Every second connection is of somebody else, and each has had its handshake.
func TestFinishedHandshakes(t *testing.T) {
	for name, how := range map[string]stranger.Speech{"noise": stranger.Noise, "tls": stranger.TLS, "quic": stranger.QUIC} {
		t.Run(name, func(t *testing.T) {
			h := peerOf(t)
			came := make(chan peer.ID, 1024)
			h.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
				select {
				case came <- c.RemotePeer():
				default: // enough have come
				}
			}})
			crowd, err := stranger.Crowd(1, []netip.Addr{netip.MustParseAddr("127.0.3.1")}, how)
			if err != nil {
				t.Fatal(err)
			}
			first := crowd[0].ID
			a := NewArena(Target{Network: home, Victim: peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}}, crowd, netip.Addr{})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- finishedHandshakes(ctx, a) }()
			times := map[peer.ID]int{}
			late := time.After(30 * time.Second)
			for len(times) < 10 {
				select {
				case id := <-came:
					times[id]++
				case <-late:
					t.Fatalf("%d identities came: %v", len(times), a.Counts())
				}
			}
			<-a.Stands()
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			for id, n := range times {
				if most := 2; id != first && n > most || id == first && n > most*shaking {
					t.Errorf("%s came %d times", id, n)
				}
			}
		})
	}
}
