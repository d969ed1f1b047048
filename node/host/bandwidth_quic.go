package host

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	libp2pconnmgr "github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/transport"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/bandwidth"
)

// remotes knows the valves of connections over QUIC, whose packets come and go over one socket,
// by the address of the other side. It is safe for concurrent use.
type remotes struct {
	newcomers *remote // all whose address has no connection

	mu   sync.RWMutex
	byAt map[netip.AddrPort]*remote
}

// remote is what is known of an address. Two connections with one address share a valve.
type remote struct {
	valve  *bandwidth.Valve
	queued atomic.Int32 // packets that wait to be read
	conns  int          // guarded by remotes.mu
}

func newRemotes(m *bandwidth.Limiter) *remotes {
	return &remotes{newcomers: &remote{valve: m.Newcomers()}, byAt: map[netip.AddrPort]*remote{}}
}

// of returns what is known of an address.
func (r *remotes) of(at net.Addr) *remote {
	key := addrPort(at)
	r.mu.RLock()
	defer r.mu.RUnlock()
	if one := r.byAt[key]; one != nil {
		return one
	}
	return r.newcomers
}

// begin notes a connection.
func (r *remotes) begin(at net.Addr, valve func() *bandwidth.Valve) *remote {
	key := addrPort(at)
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.byAt[key]
	if one == nil || one.conns == 0 { // it is about to be forgotten
		one = &remote{valve: valve()}
		r.byAt[key] = one
	}
	one.conns++
	return one
}

// ending notes the end of a connection. With the last one all waiting ends.
func (r *remotes) ending(one *remote) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one.conns--; one.conns == 0 {
		one.valve.End()
	}
}

// forget forgets an address without connections.
func (r *remotes) forget(at net.Addr, one *remote) {
	key := addrPort(at)
	r.mu.Lock()
	defer r.mu.Unlock()
	if one.conns == 0 && r.byAt[key] == one {
		delete(r.byAt, key)
	}
}

// boundedQUIC returns the constructor of libp2p's transport over QUIC that tells whose packets
// are whose.
func boundedQUIC(b bounds) func(crypto.PrivKey, *quicreuse.ConnManager, pnet.PSK, libp2pconnmgr.ConnectionGater, network.ResourceManager) (transport.Transport, error) {
	return func(key crypto.PrivKey, sockets *quicreuse.ConnManager, psk pnet.PSK, gater libp2pconnmgr.ConnectionGater, resources network.ResourceManager) (transport.Transport, error) {
		t, err := quic.NewTransport(key, sockets, psk, gater, resources)
		if err != nil {
			return nil, err
		}
		return &quicTransport{t, b}, nil
	}
}

// quicTransport notes the connections of libp2p's.
type quicTransport struct {
	transport.Transport

	bounds bounds
}

// ListenOrder says that it listens before what shares its sockets, as libp2p's does.
func (t *quicTransport) ListenOrder() int { return quic.ListenOrder }

// Dial implements transport.Transport.
func (t *quicTransport) Dial(ctx context.Context, a ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	c, err := t.Transport.Dial(ctx, a, p)
	if err != nil {
		return nil, err
	}
	return t.note(c), nil
}

// Listen implements transport.Transport.
func (t *quicTransport) Listen(a ma.Multiaddr) (transport.Listener, error) {
	l, err := t.Transport.Listen(a)
	if err != nil {
		return nil, err
	}
	return &quicListener{l, t}, nil
}

// note has the packets of a connection belong to its peer.
func (t *quicTransport) note(c transport.CapableConn) transport.CapableConn {
	at, _, err := quicreuse.FromQuicMultiaddr(c.RemoteMultiaddr())
	if err != nil {
		return c // it stays among the newcomers
	}
	noted := &quicConn{CapableConn: c, bounds: t.bounds, at: at}
	noted.remote = t.bounds.remotes.begin(at, t.bounds.Valve)
	t.bounds.belongs(noted.remote.valve, c.RemotePeer())
	return noted
}

// quicConn is a connection that is forgotten when it is closed.
type quicConn struct {
	transport.CapableConn

	bounds bounds
	at     net.Addr
	remote *remote
	once   sync.Once
}

// Close implements network.MuxedConn.
func (c *quicConn) Close() error { return c.close(c.CapableConn.Close) }

// CloseWithError implements network.MuxedConn.
func (c *quicConn) CloseWithError(code network.ConnErrorCode) error {
	return c.close(func() error { return c.CapableConn.CloseWithError(code) })
}

// close ends waiting first, since quic-go sends what is in its queue before it closes.
func (c *quicConn) close(how func() error) error {
	c.once.Do(func() { c.bounds.remotes.ending(c.remote) })
	err := how()
	c.bounds.remotes.forget(c.at, c.remote)
	return err
}

// quicListener notes the connections of libp2p's.
type quicListener struct {
	transport.Listener

	of *quicTransport
}

// Accept implements transport.Listener.
func (l *quicListener) Accept() (transport.CapableConn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.of.note(c), nil
}

// addrPort returns an address of UDP as a key.
func addrPort(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := u.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}
