package sim

import (
	"math/rand/v2"
	"time"

	"github.com/decube/decube/testnet/sim/kernel"
)

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

// Network is how frames travel.
type Network = kernel.Conditions

// between draws a time.
func between(rnd *rand.Rand, low, high Time) Time { return kernel.Between(rnd, low, high) }

// duration returns virtual time as the driver counts it.
func duration(t Time) time.Duration { return time.Duration(t) * time.Microsecond }

// ceil returns the first virtual time that is not before a duration.
func ceil(d time.Duration) Time { return Time((d + time.Microsecond - 1) / time.Microsecond) }
