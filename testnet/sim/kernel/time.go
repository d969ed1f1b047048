package kernel

import "fmt"

// Time is virtual time: microseconds since the start of a run, or a number of them.
type Time int64

const (
	// Millisecond is a thousandth of a second.
	Millisecond Time = 1000
	// Second is a second.
	Second = 1000 * Millisecond
)

// String returns the time in milliseconds.
func (t Time) String() string {
	if t < 0 {
		return "-" + (-t).String()
	}
	return fmt.Sprintf("%d.%03d", t/Millisecond, t%Millisecond)
}
