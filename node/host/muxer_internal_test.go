package host

import (
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
)

// somewhere is one end of a pipe, with an address that is looked at.
type somewhere struct {
	net.Conn

	at   net.Addr
	seen chan struct{}
}

func (c *somewhere) RemoteAddr() net.Addr {
	select {
	case c.seen <- struct{}{}:
	default:
	}
	return c.at
}

// ofPeer is the scope of a connection to a peer, without any limits.
type ofPeer struct {
	network.NullScope

	peer peer.ID
	told chan struct{}
}

func (s *ofPeer) Peer() peer.ID {
	select {
	case s.told <- struct{}{}:
	default:
	}
	return s.peer
}

// The multiplexer is libp2p's, with a measure of its own, which others do not get; and only
// what has an address takes turns by it.
func TestMuxer(t *testing.T) {
	before := yamux.DefaultTransport.MeasureRTTInterval
	roles, err := connmgr.NewConnManager(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer roles.Close()
	m, err := newMuxer(roles)
	if err != nil {
		t.Fatal(err)
	}
	if m.MeasureRTTInterval != 2*time.Second || yamux.DefaultTransport.MeasureRTTInterval != before {
		t.Errorf("measured every %v, and by others every %v", m.MeasureRTTInterval, yamux.DefaultTransport.MeasureRTTInterval)
	}
	for _, tc := range []struct {
		at   net.Addr
		want bool
	}{
		{&net.TCPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 4801}, true},
		{&net.UnixAddr{Name: "relayed", Net: "libp2p-circuit-relay"}, false},
	} {
		here, there := net.Pipe()
		over := &somewhere{here, tc.at, make(chan struct{}, 1)}
		scope := &ofPeer{peer: "somebody", told: make(chan struct{}, 1)}
		conn, err := m.NewConn(over, true, scope)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(scope.told) > 0; got != tc.want {
			t.Errorf("%v: turns of a peer %t, want %t", tc.at, got, tc.want)
		}
		_ = there.Close()
		_ = conn.Close()
	}
}
