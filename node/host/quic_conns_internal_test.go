package host

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
)

// noted is a hold that notes what is asked of it.
type noted struct {
	waited []int
	left   int
}

func (n *noted) Wait(bytes int) { n.waited = append(n.waited, bytes) }
func (n *noted) Leave()         { n.left++ }

var errNone = errors.New("there is none")

// sink is a connection whose streams take everything; it has none when it is closed.
type sink struct {
	transport.CapableConn

	closed int
}

func (s *sink) stream() (network.MuxedStream, error) {
	if s.closed > 0 {
		return nil, errNone
	}
	return sinkStream{}, nil
}

func (s *sink) AcceptStream() (network.MuxedStream, error)              { return s.stream() }
func (s *sink) OpenStream(context.Context) (network.MuxedStream, error) { return s.stream() }

func (s *sink) Close() error {
	s.closed++
	return nil
}

func (s *sink) CloseWithError(network.ConnErrorCode) error { return s.Close() }

type sinkStream struct{ network.MuxedStream }

func (sinkStream) Write(b []byte) (int, error) { return len(b), nil }

// What a stranger begins over QUIC waits, and what it is sent, but for a few words; not what
// this peer begins. A connection that is closed leaves, however it is closed.
func TestBrakedQUIC(t *testing.T) {
	n, below := &noted{}, &sink{}
	c := &brakedQUIC{below, n}
	theirs, err := c.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := c.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []network.MuxedStream{theirs, ours} {
		for _, size := range []int{1, smallWrite, smallWrite + 1, 256 << 10} {
			if written, err := s.Write(make([]byte, size)); err != nil || written != size {
				t.Errorf("%d of %d bytes written, %v", written, size, err)
			}
		}
	}
	if want := []int{0, smallWrite + 1, 256 << 10, smallWrite + 1, 256 << 10}; !slices.Equal(n.waited, want) {
		t.Errorf("waited with %v, want %v", n.waited, want)
	}
	if err := errors.Join(c.Close(), c.CloseWithError(1)); err != nil || n.left != 2 || below.closed != 2 {
		t.Errorf("%v; left %d times, closed %d times", err, n.left, below.closed)
	}
	if _, err := c.AcceptStream(); !errors.Is(err, errNone) {
		t.Errorf("accepts with %v", err)
	}
	if _, err := c.OpenStream(t.Context()); !errors.Is(err, errNone) {
		t.Errorf("opens with %v", err)
	}
	if len(n.waited) != 5 {
		t.Errorf("waited for nothing: %v", n.waited)
	}
}
