package sim

import "github.com/decube/decube/testnet/sim/kernel"

// Time is virtual time: microseconds since the start of a run.
type Time = kernel.Time

const (
	// Millisecond is a thousandth of a second.
	Millisecond = kernel.Millisecond
	// Second is a second.
	Second = kernel.Second
	// TickLength is what one tick of the core takes on a clock that runs true.
	TickLength = 10 * Millisecond
)
