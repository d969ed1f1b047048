package crdt

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Three clocks with physical time that runs, stands and jumps; messages between
// them. Stamps of one clock ascend, a message's stamp is below all that its
// receiver makes afterwards, and no stamp leaves physical time by more than the
// drift.
func TestClockRespectsCausality(t *testing.T) {
	const drift = 20
	rapid.Check(t, func(t *rapid.T) {
		clocks := []*Clock{NewClock(Time{}, drift), NewClock(Time{}, drift), NewClock(Time{}, drift)}
		var latest Time // the greatest wall time that anybody's clock has shown
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := rapid.SampledFrom(clocks).Draw(t, "clock")
			wall := rapid.Int64Range(0, 50).Draw(t, "wall")
			latest.Wall = max(latest.Wall, wall)
			before := c.Last()
			stamp := c.Now(wall)
			if stamp.Compare(before) <= 0 {
				t.Fatalf("%s after %s", stamp, before)
			}
			if stamp.Wall > latest.Wall {
				t.Fatalf("%s is ahead of every physical clock, the latest of which shows %d", stamp, latest.Wall)
			}
			to := rapid.SampledFrom(clocks).Draw(t, "to")
			at := rapid.Int64Range(0, 50).Draw(t, "at")
			known := to.Last()
			if err := to.Observe(at, stamp); err != nil {
				if !errors.Is(err, ErrAhead) || stamp.Wall-at <= drift || to.Last() != known {
					t.Fatalf("observing %s at %d: %v", stamp, at, err)
				}
				continue
			}
			if stamp.Wall-at > drift {
				t.Fatalf("accepted %s at %d", stamp, at)
			}
			if next := to.Now(at); next.Compare(stamp) <= 0 || next.Compare(known) <= 0 {
				t.Fatalf("%s was made after %s was observed", next, stamp)
			}
			latest.Wall = max(latest.Wall, at)
		}
	})
}

func TestClockResumes(t *testing.T) {
	c := NewClock(Time{Wall: 100, Logical: 7}, 0)
	if got, want := c.Now(50), (Time{Wall: 100, Logical: 8}); got != want {
		t.Errorf("after a restart with a clock that went back: %s, want %s", got, want)
	}
	if got, want := c.Now(101), (Time{Wall: 101}); got != want {
		t.Errorf("when physical time has caught up: %s, want %s", got, want)
	}
}

func TestClockCounterOverflows(t *testing.T) {
	c := NewClock(Time{Wall: 5, Logical: math.MaxUint32}, 0)
	if got, want := c.Now(5), (Time{Wall: 6}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestClockDistancesDoNotOverflow(t *testing.T) {
	c := NewClock(Time{}, math.MaxInt64)
	if err := c.Observe(math.MinInt64, Time{Wall: math.MaxInt64}); !errors.Is(err, ErrAhead) {
		t.Errorf("the largest distance there is: %v, want ErrAhead", err)
	}
	if err := c.Observe(0, Time{Wall: math.MinInt64}); err != nil {
		t.Errorf("a stamp from long ago: %v", err)
	}
}

func TestTimesAreOrdered(t *testing.T) {
	if !slices.IsSortedFunc([]Time{{-1, 9}, {0, 0}, {0, 1}, {1, 0}}, Time.Compare) {
		t.Error("stamps are not ordered by wall time, then counter")
	}
}

func TestMilli(t *testing.T) {
	for ms, want := range map[int64]int64{0: 0, 1: 1e6, -1: -1e6, math.MaxInt64: 9223372036854000000, math.MinInt64: -9223372036854000000} {
		if got := Milli(ms); got != (Time{Wall: want}) {
			t.Errorf("millisecond %d is %v", ms, got)
		}
	}
}
