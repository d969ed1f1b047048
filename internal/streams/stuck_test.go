package streams_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/streams"
)

// tap passes on what goes over TCP to an address, until it is shut: then it takes nothing
// more from there.
type tap struct {
	net.Listener

	shut chan struct{}
}

func newTap(t *testing.T, to net.Addr) *tap {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{l, make(chan struct{})}
	var passing sync.WaitGroup
	passing.Go(func() {
		near, err := l.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := new(net.Dialer).DialContext(t.Context(), to.Network(), to.String())
		if err != nil {
			t.Error(err)
			return
		}
		defer far.Close()
		passing.Go(func() {
			_, _ = io.Copy(far, near)
			_ = far.Close()
		})
		b := make([]byte, 4<<10)
		for {
			n, err := far.Read(b)
			if err != nil {
				return
			}
			if _, err := near.Write(b[:n]); err != nil {
				return
			}
			select {
			case <-p.shut:
				<-t.Context().Done()
				return
			default:
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		passing.Wait()
	})
	return p
}

// Whoever does not even take what its connection sends does not hold up an end.
func TestCloseOfStuckConnections(t *testing.T) {
	server, _ := newPeer(t, "/ip4/127.0.0.1/tcp/0")
	asker, _ := newPeer(t, "/ip4/127.0.0.1/tcp/0")
	to, err := manet.ToNetAddr(server.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	p := newTap(t, to)
	at, err := manet.FromNetAddr(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	const many = 50
	l := admission.For(limits.Row{Streams: 2 * many, PerPeer: many, Memory: unit})
	var written atomic.Int64
	x, err := streams.Open(server, streams.Options{}, streams.Handler{
		ID: echo, Limits: l,
		Serve: func(_ context.Context, s *streams.Stream) error {
			s.Asked()
			for b := make([]byte, 1<<10); ; {
				n, err := s.Write(b)
				if err != nil {
					return err
				}
				written.Add(int64(n))
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := asker.Connect(t.Context(), peer.AddrInfo{ID: server.ID(), Addrs: []ma.Multiaddr{at}}); err != nil {
		t.Fatal(err)
	}
	for range many {
		s, err := asker.NewStream(network.WithNoDial(t.Context(), "it goes through the tap"), server.ID(), echo)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	close(p.shut)
	for before := int64(-1); before != written.Load(); {
		before = written.Load()
		<-time.After(100 * time.Millisecond) // in which some would have been taken
	}
	began := time.Now()
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 4*time.Second { // a part has five to stop
		t.Errorf("it took %v to close", took)
	}
}
