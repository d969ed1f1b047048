package host

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// How much later than over TCP an address is dialled over QUIC: on a private network, enough
// for a handshake on a busy machine; on the internet, for the three round trips of TCP and
// TLS to wherever one takes up to 80 ms. From farther away QUIC is there as soon, in one.
const (
	privateQUICDelay = 100 * time.Millisecond
	publicQUICDelay  = 250 * time.Millisecond
)

// rankDials orders the addresses of a peer: TCP first, QUIC where TCP takes long or does not
// get through, and relays where neither does. A block costs half the processor time over TCP
// at both ends, and one stream moves 1.3 GB/s against 0.5. And quic-go sends for at most 2 ms
// of its own estimate each time that it is run, so that it becomes slower the busier the
// machine is: beside strangers who ask for all there is, an honest peer was served half as
// much over QUIC as over TCP.
func rankDials(addrs []ma.Multiaddr) []network.AddrDelay {
	var ranked []network.AddrDelay
	add := func(addrs []ma.Multiaddr, later time.Duration) {
		for _, d := range swarm.DefaultDialRanker(addrs) {
			ranked = append(ranked, network.AddrDelay{Addr: d.Addr, Delay: d.Delay + later})
		}
	}
	var relayed []ma.Multiaddr
	direct := map[bool]map[bool][]ma.Multiaddr{true: {}, false: {}} // by whether private, and over TCP
	for _, a := range addrs {
		if isRelayed(a) {
			relayed = append(relayed, a)
			continue
		}
		group := direct[manet.IsPrivateAddr(a)]
		group[transportOf(a) == "tcp"] = append(group[transportOf(a) == "tcp"], a)
	}
	for private, delay := range map[bool]time.Duration{true: privateQUICDelay, false: publicQUICDelay} {
		if len(direct[private][true]) == 0 {
			delay = 0
		}
		add(direct[private][true], 0)
		add(direct[private][false], delay)
	}
	delay := time.Duration(0)
	if len(direct[false]) > 0 {
		delay = swarm.RelayDelay
	}
	add(relayed, delay)
	return ranked
}

func isRelayed(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}
