package exchange

import (
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"github.com/decube/decube/block"
)

// servedBlock is what a block of the largest size reserves while it is served: its
// buffer has room for a header, and the pool rounds up to a power of two.
const servedBlock = 2 * block.MaxSize

// Allow sets cfg's limits for the protocol so that l is what binds: libp2p's own,
// 16 MiB for what one peer does over one protocol, would refuse the third stream that
// is served at full speed. What all protocols take together, and one peer in all,
// stays bounded by the limits of the system and of the peer, which grow with the
// machine's memory. Call it before the resource manager is made.
func (l Limits) Allow(cfg *rcmgr.ScalingLimitConfig) {
	// More streams than l allows may be opened, so that they can be told to come
	// back later.
	peer, all := l.memory()
	base, inc := cfg.ProtocolPeerBaseLimit, cfg.ProtocolPeerLimitIncrease
	base.Memory, inc.Memory = peer, 0
	cfg.AddProtocolPeerLimit(ID, base, inc)
	base, inc = cfg.ServicePeerBaseLimit, cfg.ServicePeerLimitIncrease
	base.Memory, inc.Memory = peer, 0
	cfg.AddServicePeerLimit(ServiceName, base, inc)
	base, inc = cfg.ProtocolBaseLimit, cfg.ProtocolLimitIncrease
	base.Memory, inc.Memory = all, 0
	cfg.AddProtocolLimit(ID, base, inc)
	base, inc = cfg.ServiceBaseLimit, cfg.ServiceLimitIncrease
	base.Memory, inc.Memory = all, 0
	cfg.AddServiceLimit(ServiceName, base, inc)
}

// memory returns the most bytes that the streams to and from one peer, and all
// together, reserve.
func (l Limits) memory() (peer, all int64) {
	served := int64(MaxRequest + (l.ReadAhead+1)*servedBlock)
	// Each fetch has one stream to a provider, and one for each look-up that led
	// there; single blocks are asked for over one more.
	used := int64(l.Fetches*(2+l.Lookups)) * block.MaxSize
	peer = int64(l.StreamsPerPeer)*served + used
	return peer, int64(l.Streams)*served + used*int64(l.Peers)
}
