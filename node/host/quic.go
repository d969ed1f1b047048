package host

import (
	"context"
	"errors"
	"net"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/quic-go/quic-go"
)

// quicManager makes libp2p's own manager of QUIC's sockets, with the sockets of
// listenUDP, bounded where bytes are. The host closes it.
func (h *Host) quicManager(resources network.ResourceManager, reg prometheus.Registerer) func(quic.StatelessResetKey, quic.TokenGeneratorKey) (*quicreuse.ConnManager, error) {
	return func(reset quic.StatelessResetKey, token quic.TokenGeneratorKey) (_ *quicreuse.ConnManager, err error) {
		listen := listenUDP
		if h.bounds != nil {
			listen = h.bounds.listenUDP
		}
		opts := []quicreuse.Option{
			quicreuse.OverrideListenUDP(listen),
			quicreuse.VerifySourceAddress(func(at net.Addr) bool {
				return resources.VerifySourceAddress(at) || h.guard.prove()
			}),
			quicreuse.ConnContext(func(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
				return h.guard.admit(ctx, resources, client)
			}),
		}
		if reg != nil {
			opts = append(opts, quicreuse.EnableMetrics(reg))
		}
		h.quic, err = quicreuse.NewConnManager(reset, token, opts...)
		return h.quic, err
	}
}

// closeQUIC closes the sockets, after the connections over them. It may be called
// again, which the manager does not bear.
func (h *Host) closeQUIC() (err error) {
	h.closed.Do(func() {
		if h.quic != nil {
			err = h.quic.Close()
		}
	})
	return err
}

// errTooMany is why a connection is refused before its handshake.
var errTooMany = errors.New("too many connections are begun")

// admit asks the guard and the resource manager for a connection that somebody begins, before
// the handshake, as libp2p does.
func (g *guard) admit(ctx context.Context, resources network.ResourceManager, client *quic.ClientInfo) (context.Context, error) {
	ends := func() {}
	addr, err := quicreuse.ToQuicMultiaddr(client.RemoteAddr, quic.Version1)
	if err != nil {
		addr = nil // the resource manager decides all the same
	} else {
		ok := g.arrivesOver(ipOf(addr), client.AddrVerified)
		if ok {
			ends, ok = g.begins(addr.String(), ipOf(addr), client.AddrVerified)
		}
		if !ok {
			return ctx, errTooMany
		}
	}
	scope, err := resources.OpenConnection(network.DirInbound, false, addr)
	if err != nil {
		ends()
		return ctx, err
	}
	context.AfterFunc(ctx, ends)
	ctx = network.WithConnManagementScope(ctx, scope)
	context.AfterFunc(ctx, scope.Done)
	return ctx, nil
}

// listenUDP opens a socket from which packets are read many at a time, where the
// system can do that.
func listenUDP(network string, addr *net.UDPAddr) (net.PacketConn, error) {
	c, err := net.ListenUDP(network, addr)
	if err != nil {
		return nil, err
	}
	return coalesce(c), nil
}
