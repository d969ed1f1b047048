package consensus

import rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

// Allow sets cfg's limits for the protocol so that the limits of this package are
// what binds: libp2p's own, 16 MiB for what one peer does over one protocol, would
// refuse a large proposal beside a large body. What all protocols take together
// stays bounded by the limits of the system, which grow with the machine's memory.
// Call it before the resource manager is made.
func Allow(cfg *rcmgr.ScalingLimitConfig) {
	base, inc := cfg.ProtocolPeerBaseLimit, cfg.ProtocolPeerLimitIncrease
	base.Memory, inc.Memory = memory(), 0
	cfg.AddProtocolPeerLimit(ID, base, inc)
	base, inc = cfg.ServicePeerBaseLimit, cfg.ServicePeerLimitIncrease
	base.Memory, inc.Memory = memory(), 0
	cfg.AddServicePeerLimit(ServiceName, base, inc)
	base, inc = cfg.ProtocolBaseLimit, cfg.ProtocolLimitIncrease
	base.Memory, inc.Memory = everybody(), 0
	cfg.AddProtocolLimit(ID, base, inc)
	base, inc = cfg.ServiceBaseLimit, cfg.ServiceLimitIncrease
	base.Memory, inc.Memory = everybody(), 0
	cfg.AddServiceLimit(ServiceName, base, inc)
}
