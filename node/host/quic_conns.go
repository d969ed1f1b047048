package host

import (
	"context"

	libp2pconnmgr "github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/transport"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

// quicConns returns the constructor of libp2p's transport over QUIC whose connections are
// wrapped, one way above the other.
func quicConns(wraps ...func(transport.CapableConn) transport.CapableConn) func(crypto.PrivKey, *quicreuse.ConnManager, pnet.PSK, libp2pconnmgr.ConnectionGater, network.ResourceManager) (transport.Transport, error) {
	return func(key crypto.PrivKey, sockets *quicreuse.ConnManager, psk pnet.PSK, gater libp2pconnmgr.ConnectionGater, resources network.ResourceManager) (transport.Transport, error) {
		t, err := quic.NewTransport(key, sockets, psk, gater, resources)
		if err != nil {
			return nil, err
		}
		return &quicTransport{t, func(c transport.CapableConn) transport.CapableConn {
			for _, wrap := range wraps {
				c = wrap(c)
			}
			return c
		}}, nil
	}
}

// quicTransport wraps the connections of libp2p's.
type quicTransport struct {
	transport.Transport

	wrap func(transport.CapableConn) transport.CapableConn
}

// ListenOrder says that it listens before what shares its sockets, as libp2p's does.
func (t *quicTransport) ListenOrder() int { return quic.ListenOrder }

// Dial implements transport.Transport.
func (t *quicTransport) Dial(ctx context.Context, a ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	c, err := t.Transport.Dial(ctx, a, p)
	if err != nil {
		return nil, err
	}
	return t.wrap(c), nil
}

// Listen implements transport.Transport.
func (t *quicTransport) Listen(a ma.Multiaddr) (transport.Listener, error) {
	l, err := t.Transport.Listen(a)
	if err != nil {
		return nil, err
	}
	return &quicListener{l, t.wrap}, nil
}

// quicListener wraps the connections of libp2p's.
type quicListener struct {
	transport.Listener

	wrap func(transport.CapableConn) transport.CapableConn
}

// Accept implements transport.Listener.
func (l *quicListener) Accept() (transport.CapableConn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}

// smallWrite is the most that is written to a stranger over QUIC without a turn.
const smallWrite = 1 << 10

// brakeQUIC holds up a connection over QUIC where that can be done: quic-go reads, decrypts,
// encrypts and sends by itself, for all connections of a socket. What a stranger begins waits,
// stream by stream, and so does what it is sent, before quic-go has it; with the latter the
// most that it has this machine do, since over QUIC that takes no turns.
func (m turning) brakeQUIC(c transport.CapableConn) transport.CapableConn {
	p := c.RemotePeer()
	origin, _ := streams.OriginOf(c.RemoteMultiaddr())
	return &brakedQUIC{c, m.brake.Hold(p, origin, func() admission.Class { return classOf(m.roles, p) })}
}

// braking holds up a connection: see streams.Hold.
type braking interface {
	Wait(bytes int)
	Leave()
}

// brakedQUIC is a connection over QUIC that is held up.
type brakedQUIC struct {
	transport.CapableConn

	hold braking
}

// AcceptStream implements network.MuxedConn. The other side may open no more while some wait
// here than it was told at first.
func (c *brakedQUIC) AcceptStream() (network.MuxedStream, error) {
	s, err := c.CapableConn.AcceptStream()
	if err != nil {
		return nil, err
	}
	c.hold.Wait(0)
	return &brakedStream{s, c.hold}, nil
}

// OpenStream implements network.MuxedConn.
func (c *brakedQUIC) OpenStream(ctx context.Context) (network.MuxedStream, error) {
	s, err := c.CapableConn.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	return &brakedStream{s, c.hold}, nil
}

// Close implements network.MuxedConn.
func (c *brakedQUIC) Close() error {
	c.hold.Leave()
	return c.CapableConn.Close()
}

// CloseWithError implements network.MuxedConn.
func (c *brakedQUIC) CloseWithError(code network.ConnErrorCode) error {
	c.hold.Leave()
	return c.CapableConn.CloseWithError(code)
}

// brakedStream is a stream whose writes wait.
type brakedStream struct {
	network.MuxedStream

	hold braking
}

// Write implements network.MuxedStream.
func (s *brakedStream) Write(b []byte) (int, error) {
	if len(b) > smallWrite {
		s.hold.Wait(len(b))
	}
	return s.MuxedStream.Write(b)
}
