package exchange

import (
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
)

// servedBlock is what a block of the largest size reserves while it is served: its
// buffer has room for a header, and the pool rounds up to a power of two.
const servedBlock = 2 * block.MaxSize

// StreamMemory is how many bytes a stream that is served at full speed reserves, with the
// read-ahead of DefaultLimits.
const StreamMemory = MaxRequest + 2*servedBlock

// admission returns the limits of what is served, with so much memory; 0 is as much as all
// streams could want.
func (l Limits) admission(memory int64) admission.Limits {
	reserved := max(1, l.Streams/3)
	places := l.Streams + reserved
	if memory == 0 {
		memory = 2 * int64(places) * int64(MaxRequest+(l.ReadAhead+1)*servedBlock)
	}
	a := admission.For(limits.Row{Streams: places, PerPeer: l.StreamsPerPeer, Memory: memory})
	a.Reserved = reserved
	// One peer has what it may, however few places there are.
	a.PerAddr = max(a.PerAddr, min(l.StreamsPerPeer, places))
	a.PerPrefix = max(a.PerPrefix, a.PerAddr)
	a.Request, a.Idle, a.Standstill = l.RequestTimeout, l.IdleTimeout, l.StallTimeout
	return a
}
