package main

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/decube/decube/internal/limits"
)

func TestMemoryIsLimitedToTheMachine(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	for _, c := range []struct {
		set  string
		has  int64
		want int64
	}{
		{"", 1 << 30, 1 << 30 / 10 * 8},
		{"", 0, math.MaxInt64}, // nothing says how much there is
		{"2GiB", 1 << 30, math.MaxInt64},
	} {
		t.Setenv("GOMEMLIMIT", c.set)
		debug.SetMemoryLimit(math.MaxInt64)
		told := limitMemory(limits.Machine{Memory: c.has})
		if got := debug.SetMemoryLimit(-1); got != c.want || told != 0 && told != got {
			t.Errorf("of %d bytes, with GOMEMLIMIT=%s: %d, told %d, want %d", c.has, c.set, got, told, c.want)
		}
	}
}

func TestBusyDaemonCollectsLess(t *testing.T) {
	tuned := tuner{room: busyMemory, percent: idleGCPercent}
	spent := 0.0
	for i, step := range []struct {
		share float64
		live  uint64
		want  int
	}{
		{0, 20 << 20, idleGCPercent},
		{0.05, 60 << 20, idleGCPercent},
		{0.4, 64 << 20, busyGCPercent},
		{0.05, 128 << 20, 100}, // the less that follows from it is still much
		{0.05, 2 << 30, idleGCPercent},
		{0.4, 64 << 20, busyGCPercent},
		{0, 64 << 20, idleGCPercent},
		{0.05, 64 << 20, idleGCPercent},
	} {
		spent += step.share
		if got, _ := tuned.next(spent, step.live); got != step.want {
			t.Errorf("second %d: %d %%, want %d", i, got, step.want)
		}
	}
}
