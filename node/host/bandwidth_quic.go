package host

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"

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

// note has the packets of a connection over QUIC belong to its peer.
func (b bounds) note(c transport.CapableConn) transport.CapableConn {
	at, _, err := quicreuse.FromQuicMultiaddr(c.RemoteMultiaddr())
	if err != nil {
		return c // it stays among the newcomers
	}
	noted := &quicConn{CapableConn: c, bounds: b, at: at}
	noted.remote = b.remotes.begin(at, b.Valve)
	b.belongs(noted.remote.valve, c.RemotePeer())
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

// addrPort returns an address of UDP as a key.
func addrPort(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := u.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}
