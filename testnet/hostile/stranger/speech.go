package stranger

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"slices"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"
)

// Speech is what the connections of a stranger are made of.
type Speech int

// How strangers speak. A handshake of TLS costs the other side several times as much as
// one of Noise.
const (
	Noise Speech = iota // TCP, Noise and Yamux
	TLS                 // TCP, TLS and Yamux
	QUIC                // QUIC
)

// port is a free port for who speaks so.
func (how Speech) port() ma.Multiaddr {
	if how == QUIC {
		return ma.StringCast("/udp/0/quic-v1")
	}
	return ma.StringCast("/tcp/0")
}

// Pick returns the first address of the family of source that takes a speech, or nil.
func Pick(addrs []ma.Multiaddr, source netip.Addr, how Speech) ma.Multiaddr {
	family := ma.P_IP4
	if source.Is6() {
		family = ma.P_IP6
	}
	want := []int{family, ma.P_TCP}
	if how == QUIC {
		want = []int{family, ma.P_UDP, ma.P_QUIC_V1}
	}
	for _, a := range addrs {
		parts := a.Protocols()
		if slices.EqualFunc(parts, want, func(p ma.Protocol, code int) bool { return p.Code == code }) {
			return a
		}
	}
	return nil
}

// way is how a stranger gets to others. Strangers who share one share the sockets of QUIC.
type way struct {
	how     Speech
	dial    dialer                 // over TCP
	sockets *quicreuse.ConnManager // over QUIC
}

func (w way) transport(key crypto.PrivKey) (transport.Transport, error) {
	if w.how == QUIC {
		return libp2pquic.NewTransport(key, w.sockets, nil, nil, nil)
	}
	return overTCP(key, w.how, w.dial)
}

// socketsAt opens sockets of UDP at one address, when they are needed: one for all that
// is dialled, and one to listen. They are open as long as the process runs.
func socketsAt(source netip.Addr) (*quicreuse.ConnManager, error) {
	var reset quic.StatelessResetKey
	var token quic.TokenGeneratorKey
	_, _ = rand.Read(reset[:]) // never fails
	_, _ = rand.Read(token[:]) // never fails
	return quicreuse.NewConnManager(reset, token,
		quicreuse.OverrideListenUDP(func(network string, at *net.UDPAddr) (net.PacketConn, error) {
			return net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, uint16(at.Port))))
		}),
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return from(source), nil }),
	)
}

// from answers from which address to dial, which is one and the same.
type from netip.Addr

func (f from) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return netip.Addr(f).AsSlice(), nil
}

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
