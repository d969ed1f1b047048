package stranger

import (
	"context"
	"net"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// Speech is what the connections of a stranger are made of.
type Speech int

// How strangers speak. A handshake of TLS costs the other side several times as much as
// one of Noise.
const (
	Noise Speech = iota // TCP, Noise and Yamux
	TLS                 // TCP, TLS and Yamux
)

// dialer is a function that connects.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func (d dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d(ctx, network, addr)
}

// overTCP makes the transport of who speaks Noise or TLS, and not the other one too.
func overTCP(key crypto.PrivKey, how Speech, dial dialer) (transport.Transport, error) {
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	var security sec.SecureTransport
	var err error
	if how == TLS {
		security, err = libp2ptls.New(libp2ptls.ID, key, muxers)
	} else {
		security, err = noise.New(noise.ID, key, muxers)
	}
	if err != nil {
		return nil, err
	}
	up, err := upgrader.New([]sec.SecureTransport{security}, muxers, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	return tcp.NewTCPTransport(up, nil, nil, tcp.DisableReuseport(),
		tcp.WithDialerForAddr(func(ma.Multiaddr) (tcp.ContextDialer, error) { return dial, nil }))
}
