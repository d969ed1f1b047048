package host

import (
	"errors"
	"net"
	"runtime"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

// rttInterval is how often the round trip of a connection over TCP is measured, in place of
// every 30 s. Yamux has a stream's window grow when half of it is taken within four round
// trips. Where the other side comes to be busy, all takes longer, and by a measure of before
// a window would stay at 256 KiB, of which one a round trip is all that comes.
const rttInterval = 2 * time.Second

// hold is how long a frame may take before others go on: one of 64 KiB takes a processor for
// 100 us, and what takes much longer waits for the other side.
const hold = time.Millisecond

// linger is how long yamux has for its next frame of 64 KiB, which is there already if there
// is more to send, on a machine that has other things to do.
const linger = 100 * time.Microsecond

// turning is yamux over connections whose writes take turns: what is sent to peers over TCP
// is shared by prefix, address and peer where it costs most, which is to encrypt it and to
// hand it to the system. What strangers send is braked while this machine is busy.
type turning struct {
	*yamux.Transport

	turns *streams.Turns
	brake *streams.Brake
	roles connmgr.ConnManager
}

func newMuxer(roles connmgr.ConnManager) (turning, error) {
	pace := admission.PaceFor(runtime.GOMAXPROCS(0), admission.Unbounded)
	pace.Under, pace.Hold, pace.Linger = runtime.GOMAXPROCS(0), hold, linger
	turns, err := streams.NewTurns(pace)
	if err != nil {
		return turning{}, err
	}
	own := *yamux.DefaultTransport
	own.MeasureRTTInterval = rttInterval
	brake, err := streams.NewBrake()
	if err != nil {
		return turning{}, err
	}
	return turning{&own, turns, brake, roles}, nil
}

// NewConn implements network.Multiplexer. What comes through a relay has no turns of its
// own: its bytes are those of the connection to the relay.
func (m turning) NewConn(over net.Conn, server bool, scope network.PeerScope) (network.MuxedConn, error) {
	if at, err := manet.FromNetAddr(over.RemoteAddr()); err == nil && scope != nil {
		origin, _ := streams.OriginOf(at)
		p := scope.Peer()
		class := func() admission.Class { return classOf(m.roles, p) }
		over = m.brake.Conn(m.turns.Conn(over, string(p), origin, class), p, origin, class)
	}
	c, err := m.Transport.NewConn(over, server, scope)
	if err != nil {
		return nil, errors.Join(err, over.Close()) // its turns end with it
	}
	return c, nil
}

// Turning implements streams.Turner.
func (h *Host) Turning(c network.Conn) bool {
	return c.ConnState().Transport == "tcp" && !isRelayed(c.RemoteMultiaddr())
}

// Asking implements streams.Asker.
func (h *Host) Asking(p peer.ID) (done func()) { return h.brake.Asking(p) }
