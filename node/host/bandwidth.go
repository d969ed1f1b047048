package host

import (
	"context"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/bandwidth"
	"github.com/decube/decube/internal/config"
)

// Bandwidth bounds what passes over all connections, in bytes a second; 0 is no bound. It
// holds for whatever passes, on loopback too: who comes from there may be a tunnel.
type Bandwidth struct {
	Upload            int64 // to all peers together
	Download          int64 // from all peers together
	UploadStrangers   int64 // of Upload, to strangers; members and protected peers have the rest
	DownloadStrangers int64 // of Download, from strangers
}

// Validate checks that what is bounded can work, and that strangers have a part of the whole.
func (b Bandwidth) Validate() error {
	for _, one := range []struct {
		key    string
		value  int64
		within string
		whole  int64
	}{
		{"upload", b.Upload, "", 0},
		{"download", b.Download, "", 0},
		{"upload_strangers", b.UploadStrangers, "upload", b.Upload},
		{"download_strangers", b.DownloadStrangers, "download", b.Download},
	} {
		switch {
		case one.value == 0:
		case one.value < bandwidth.Least:
			return config.Invalid(one.key, one.value, "must be 0 for no bound, or at least %s a second: with less, connections fail", config.FormatSize(bandwidth.Least))
		case one.whole != 0 && one.value > one.whole:
			return config.Invalid(one.key, one.value, "must be at most %s, which is %s a second: it is a part of that", one.within, config.FormatSize(one.whole))
		}
	}
	return nil
}

// limits returns the bounds as they are enforced.
func (b Bandwidth) limits() bandwidth.Limits {
	return bandwidth.Limits{Upload: b.Upload, Download: b.Download, UploadStrangers: b.UploadStrangers, DownloadStrangers: b.DownloadStrangers}
}

// classOf says how a peer stands to this one.
func classOf(roles connmgr.ConnManager, p peer.ID) admission.Class {
	if roles.IsProtected(p, "") {
		return admission.Protected
	}
	return admission.Stranger
}

// bounds are those in force, and who has which class.
type bounds struct {
	*bandwidth.Limiter

	roles   connmgr.ConnManager
	remotes *remotes // over QUIC
}

func newBounds(l bandwidth.Limits, roles connmgr.ConnManager) *bounds {
	m := bandwidth.New(l)
	return &bounds{m, roles, newRemotes(m)}
}

// belongs says whose valve it is. The peer's class may change at any time.
func (b bounds) belongs(v *bandwidth.Valve, p peer.ID) {
	v.Belongs(func() admission.Class { return classOf(b.roles, p) })
}

// Bounded reports whether there is any bound of what passes.
func (h *Host) Bounded() bool { return h.bounds != nil }

// Bound returns how many bytes a second may pass in a direction, 0 without a bound.
func (h *Host) Bound(d bandwidth.Direction) int64 {
	if h.bounds == nil {
		return 0
	}
	return h.bounds.Whole(d)
}

// Passing returns what passes, by direction and party. With bounds it is what is read and written
// of connections, over TCP without and over QUIC with all that those protocols say themselves.
// Without any nothing is counted there: it is what passes over the streams of peers that this
// one has to do with.
func (h *Host) Passing() []bandwidth.Use {
	if h.bounds != nil {
		return h.bounds.Use()
	}
	var all []bandwidth.Use
	for _, d := range []bandwidth.Direction{bandwidth.Upload, bandwidth.Download} {
		for _, g := range []bandwidth.Party{bandwidth.Strangers, bandwidth.Members} {
			all = append(all, bandwidth.Use{Direction: d, Party: g})
		}
	}
	for p, stats := range h.Bandwidth.GetBandwidthByPeer() {
		g := int(bandwidth.PartyOf(h.Class(p)))
		up, down := &all[g], &all[len(all)/2+g]
		up.Rate, up.Bytes = up.Rate+stats.RateOut, up.Bytes+stats.TotalOut
		down.Rate, down.Bytes = down.Rate+stats.RateIn, down.Bytes+stats.TotalIn
	}
	return all
}

// boundedTCP returns the constructor of a TCP transport whose connections are bounded below
// everything that is said over them.
func boundedTCP(b bounds) func(transport.Upgrader, network.ResourceManager, *tcpreuse.ConnMgr) (*tcp.TcpTransport, error) {
	return func(u transport.Upgrader, resources network.ResourceManager, shared *tcpreuse.ConnMgr) (*tcp.TcpTransport, error) {
		return tcp.NewTCPTransport(boundedUpgrader{u, b}, resources, shared)
	}
}

// boundedUpgrader has the connections that it is given bounded. The transport through relays
// has an upgrader of its own, so that nothing is counted twice.
type boundedUpgrader struct {
	transport.Upgrader

	bounds bounds
}

// GateMaListener implements transport.Upgrader.
func (u boundedUpgrader) GateMaListener(l manet.Listener) transport.GatedMaListener {
	return u.Upgrader.GateMaListener(boundedListener{l, u.bounds})
}

// Upgrade implements transport.Upgrader.
func (u boundedUpgrader) Upgrade(ctx context.Context, t transport.Transport, c manet.Conn, dir network.Direction, p peer.ID, scope network.ConnManagementScope) (transport.CapableConn, error) {
	if _, done := c.(*boundedConn); !done { // what was accepted is
		c = newBoundedConn(c, u.bounds)
	}
	return u.Upgrader.Upgrade(ctx, t, c, dir, p, scope)
}

// boundedListener accepts bounded connections.
type boundedListener struct {
	manet.Listener

	bounds bounds
}

// Accept implements manet.Listener.
func (l boundedListener) Accept() (manet.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newBoundedConn(c, l.bounds), nil
}

// boundedConn is a bounded connection over TCP. Its methods are those that libp2p looks for.
type boundedConn struct {
	*bandwidth.Conn
	network.ConnMultiaddrs

	bounds bounds
}

func newBoundedConn(c manet.Conn, b bounds) *boundedConn {
	return &boundedConn{bandwidth.NewConn(c, b.Valve()), c, b}
}

// secured notes whose connection it has turned out to be.
func (c *boundedConn) secured(p peer.ID) { c.bounds.belongs(c.Valve(), p) }

// tcpOptions is what can be set of a connection over TCP.
type tcpOptions interface {
	SetLinger(sec int) error
	SetKeepAlive(on bool) error
	SetKeepAlivePeriod(d time.Duration) error
}

// SetLinger sets how long closing waits for what is unsent.
func (c *boundedConn) SetLinger(sec int) error {
	return c.set(func(t tcpOptions) error { return t.SetLinger(sec) })
}

// SetKeepAlive has the system look whether the other side is there.
func (c *boundedConn) SetKeepAlive(on bool) error {
	return c.set(func(t tcpOptions) error { return t.SetKeepAlive(on) })
}

// SetKeepAlivePeriod says how often.
func (c *boundedConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.set(func(t tcpOptions) error { return t.SetKeepAlivePeriod(d) })
}

func (c *boundedConn) set(how func(tcpOptions) error) error {
	if t, ok := c.Conn.Conn.(tcpOptions); ok {
		return how(t)
	}
	return nil
}

var _ net.Conn = (*boundedConn)(nil)
