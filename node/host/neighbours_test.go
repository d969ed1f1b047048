package host

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/limits"
)

// silentStream is a stream on which nothing is said.
type silentStream struct {
	network.Stream

	conn  silentConn
	ended bool
}

func (s *silentStream) Conn() network.Conn { return s.conn }

func (s *silentStream) ResetWithError(network.StreamErrorCode) error {
	s.ended = true
	return nil
}

// silentConn is of a peer behind an address.
type silentConn struct {
	network.Conn

	peer peer.ID
	addr ma.Multiaddr
}

func (c silentConn) RemotePeer() peer.ID           { return c.peer }
func (c silentConn) RemoteMultiaddr() ma.Multiaddr { return c.addr }

// Peers that flood cut off no stream of another one behind their address.
func TestStreamsOfNeighbours(t *testing.T) {
	h := listening(t)
	budget, err := limits.NewBudget(limits.Machine{Memory: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	n := negotiate(h.Host, budget, h.guard, slog.New(slog.DiscardHandler))
	open := map[*silentStream]bool{}
	begin := func(from string) *silentStream {
		s := &silentStream{conn: silentConn{peer: peer.ID(from), addr: addr(t, "/ip4/198.51.100.7/tcp/1")}}
		open[s] = true
		n.begin(s)
		for s := range open {
			if s.ended {
				n.end(s)
				delete(open, s)
			}
		}
		return s
	}
	honest := begin("honest")
	for i := range 4 * unnegotiatedPerAddress {
		begin(fmt.Sprint("hostile", i%8))
	}
	if honest.ended {
		t.Error("an honest peer has lost its stream to others behind its address")
	}
	if len(open) > unnegotiatedPerAddress {
		t.Errorf("%d streams of one address are without a protocol", len(open))
	}
}
