package streams_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/limits/resources"
	"github.com/decube/decube/internal/streams"
)

// newPeer returns a host on loopback that has the limits of a machine of 2 GiB.
func newPeer(t *testing.T, listen string) (host.Host, limits.Row) {
	t.Helper()
	b, err := limits.NewBudget(limits.Machine{Memory: 2 << 30, Files: 4096})
	if err != nil {
		t.Fatal(err)
	}
	row := b.Exchange(string(echo), "echo")
	if err := b.Add(row); err != nil {
		t.Fatal(err)
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(resources.Limits(b)))
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.ListenAddrStrings(listen), libp2p.ResourceManager(m), libp2p.DisableMetrics(), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, row
}

// What is true of pipes is true of libp2p: streams are answered, memory is reserved where
// libp2p counts it, who is late is told so by its reset, and who rests sees the end.
func TestOverLibp2p(t *testing.T) {
	for name, listen := range map[string]string{"TCP": "/ip4/127.0.0.1/tcp/0", "QUIC": "/ip4/127.0.0.1/udp/0/quic-v1"} {
		t.Run(name, func(t *testing.T) {
			server, row := newPeer(t, listen)
			asker, _ := newPeer(t, listen)
			l := admission.For(row)
			l.Request = 500 * time.Millisecond
			reserved := make(chan int64, 1)
			memory := func() (n int64) {
				_ = server.Network().ResourceManager().ViewProtocol(echo, func(s network.ProtocolScope) error {
					n = s.Stat().Memory
					return nil
				})
				return n
			}
			x, err := streams.Open(server, streams.Options{}, streams.Handler{
				ID: echo, Limits: l,
				Serve: func(ctx context.Context, s *streams.Stream) error {
					return answers(ctx, s, func() { reserved <- memory() })
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			if err := asker.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: server.Addrs()}); err != nil {
				t.Fatal(err)
			}
			open := func() network.Stream {
				c, err := asker.NewStream(t.Context(), server.ID(), echo)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			resting, late := open(), open()
			if _, err := resting.Write([]byte{40}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(resting, make([]byte, 40*unit)); err != nil {
				t.Fatal(err)
			}
			if n := <-reserved; n != 40*unit {
				t.Errorf("while an answer is sent %d bytes are reserved", n)
			}
			if _, err := late.Write([]byte{'+'}); err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(late)
			if reset, ok := errors.AsType[*network.StreamError](err); !ok || reset.ErrorCode != network.StreamRateLimited {
				t.Errorf("who does not end to ask is told %v", err)
			}
			if err := x.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			if rest, err := io.ReadAll(resting); len(rest) > 0 || err != nil {
				t.Errorf("who rests reads %d bytes, and %v", len(rest), err)
			}
			if n := memory(); n != 0 {
				t.Errorf("at the end %d bytes are reserved", n)
			}
		})
	}
}
