package crdt

import (
	"cmp"
	"errors"
	"fmt"
	"math"
)

// ErrAhead is returned for a time stamp further ahead of physical time than the
// clock's drift allows.
var ErrAhead = errors.New("time stamp is ahead of the clock")

// Time is a hybrid time stamp: physical nanoseconds since the Unix epoch as
// somebody's clock told them, then a counter that orders what happened within
// them. If one event can have caused another, its stamp is the smaller one.
type Time struct {
	Wall    int64
	Logical uint32
}

// Compare orders stamps by wall time, then by counter.
func (t Time) Compare(u Time) int {
	return cmp.Or(cmp.Compare(t.Wall, u.Wall), cmp.Compare(t.Logical, u.Logical))
}

// Milli returns the first stamp of a millisecond since the Unix epoch, and that of the last one that
// there is, in the year 2262, for all after it.
func Milli(ms int64) Time {
	const perMilli = 1_000_000
	return Time{Wall: max(min(ms, math.MaxInt64/perMilli), math.MinInt64/perMilli) * perMilli}
}

// next returns the smallest stamp greater than t.
func (t Time) next() Time {
	if t.Logical == math.MaxUint32 {
		return Time{Wall: t.Wall + 1}
	}
	return Time{Wall: t.Wall, Logical: t.Logical + 1}
}

// String returns wall time and counter.
func (t Time) String() string { return fmt.Sprintf("%d+%d", t.Wall, t.Logical) }

// Clock makes time stamps, each greater than all it has made or observed.
type Clock struct {
	last  Time
	drift int64
}

// NewClock returns a clock that has seen last, the stamp that was made or
// observed most recently before a restart, and that accepts stamps of others up
// to drift nanoseconds ahead of its own physical time.
func NewClock(last Time, drift int64) *Clock { return &Clock{last: last, drift: max(0, drift)} }

// Now returns a stamp for an event at physical time wall, in nanoseconds since
// the Unix epoch. When physical time has stood still or gone back, the stamp
// still advances.
func (c *Clock) Now(wall int64) Time {
	c.last = later(Time{Wall: wall}, c.last.next())
	return c.last
}

// Observe takes note of a stamp that arrived at physical time wall: what is
// stamped from now on is greater. It returns ErrAhead, and forgets the stamp, when
// that is further ahead than the drift allows; it may be observed again later.
func (c *Clock) Observe(wall int64, t Time) error {
	if t.Wall > wall && uint64(t.Wall)-uint64(wall) > uint64(c.drift) {
		return fmt.Errorf("%w: %s is more than %d ns after %d", ErrAhead, t, c.drift, wall)
	}
	c.last = later(c.last, t)
	return nil
}

// Last returns the greatest stamp made or observed, which is to be kept for
// [NewClock].
func (c *Clock) Last() Time { return c.last }

func later(t, u Time) Time {
	if t.Compare(u) < 0 {
		return u
	}
	return t
}
