// Package resources puts a budget into the terms of libp2p's resource manager.
//
// A scope of libp2p counts streams of both directions and memory, and refuses what is
// beyond its limits without a word to the other side. Where admission chooses among
// streams, and says why, twice as many may be open as are served: the others are those
// that are being refused, or have lost their place and are about to end.
package resources

import (
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"github.com/decube/decube/internal/limits"
)

// headroom is how many streams may be open for each that admission has a place for.
const headroom = 2

// streamMemory is what one stream may reserve. Of libp2p's own 16 MiB a stranger would have
// three fifths, which is less than the largest block of the ledger.
const streamMemory = 32 << 20

// Limits returns the limits of a budget. What a budget says nothing of, which is libp2p's
// own services and the streams that this peer opens, has libp2p's limits for as much
// memory.
func Limits(b *limits.Budget) rcmgr.ConcreteLimitConfig {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	defaults := scaling.Scale(b.Memory, b.Conns)
	outbound := defaults.ToPartialLimitConfig()

	l := rcmgr.PartialLimitConfig{
		System:       scope(b.System),
		Transient:    scope(b.Transient),
		PeerDefault:  scope(b.Peer),
		Stream:       rcmgr.ResourceLimits{Memory: streamMemory},
		Service:      map[string]rcmgr.ResourceLimits{},
		ServicePeer:  map[string]rcmgr.ResourceLimits{},
		Protocol:     map[protocol.ID]rcmgr.ResourceLimits{},
		ProtocolPeer: map[protocol.ID]rcmgr.ResourceLimits{},
	}
	most, peer := streams(b, b.Other)
	l.ProtocolDefault = most.over(outbound.ProtocolDefault)
	l.ProtocolPeerDefault = peer.over(outbound.ProtocolPeerDefault)

	services, ofPeers := map[string]bound{}, map[string]bound{}
	for r := range b.Rows() {
		most, peer := streams(b, r)
		if r.Protocol != "" {
			id := protocol.ID(r.Protocol)
			l.Protocol[id] = most.over(outbound.ProtocolDefault)
			l.ProtocolPeer[id] = peer.over(outbound.ProtocolPeerDefault)
		}
		if r.Service != "" { // which may have several protocols
			services[r.Service] = services[r.Service].plus(most)
			ofPeers[r.Service] = ofPeers[r.Service].plus(peer)
		}
	}
	for name, most := range services {
		l.Service[name] = most.over(outbound.ServiceDefault)
		l.ServicePeer[name] = ofPeers[name].over(outbound.ServicePeerDefault)
	}
	return l.Build(defaults)
}

// scope has all that a scope's limits are made of.
func scope(s limits.Scope) rcmgr.ResourceLimits {
	return rcmgr.ResourceLimits{
		Conns: rcmgr.LimitVal(s.Conns), ConnsInbound: rcmgr.LimitVal(s.ConnsInbound), ConnsOutbound: rcmgr.LimitVal(s.ConnsOutbound),
		Streams: rcmgr.LimitVal(s.Streams), StreamsInbound: rcmgr.LimitVal(s.StreamsInbound), StreamsOutbound: rcmgr.LimitVal(s.StreamsOutbound),
		FD: rcmgr.LimitVal(s.FD), Memory: rcmgr.LimitVal64(s.Memory),
	}
}

// bound is what a row bounds.
type bound struct {
	inbound int
	memory  int64
}

func (b bound) plus(other bound) bound {
	return bound{b.inbound + other.inbound, b.memory + other.memory}
}

// streams returns what all peers together, and what one, may have of a row. The memory of
// one is bounded by what it may have of all protocols.
func streams(b *limits.Budget, r limits.Row) (all, peer bound) {
	n := 1
	if r.Admitted {
		n = headroom
	}
	return bound{n * r.Streams, r.Memory}, bound{n * r.PerPeer, min(r.Memory, b.Peer.Memory)}
}

// over returns the limits for streams of both directions, where those that are opened here
// have others, and do not take room from those that come in. A bound of no streams is
// memory alone.
func (b bound) over(outbound rcmgr.ResourceLimits) rcmgr.ResourceLimits {
	l := rcmgr.ResourceLimits{
		StreamsInbound: rcmgr.LimitVal(b.inbound), StreamsOutbound: outbound.StreamsOutbound,
		Streams: rcmgr.LimitVal(b.inbound) + outbound.StreamsOutbound, Memory: rcmgr.LimitVal64(b.memory),
	}
	if b.inbound == 0 {
		l.StreamsInbound = rcmgr.BlockAllLimit
	}
	return l
}
