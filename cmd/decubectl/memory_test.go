package main

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestLimitFor(t *testing.T) {
	for live, want := range map[uint64]int64{0: memoryLimit, 40 << 20: memoryLimit, 96 << 20: 120 << 20, 400 << 20: 462 << 20} {
		if got := limitFor(live); got != want {
			t.Errorf("%d MiB in use: %d MiB, want %d", live>>20, got>>20, want>>20)
		}
	}
}

func TestBoundMemory(t *testing.T) {
	defer debug.SetMemoryLimit(math.MaxInt64)
	t.Setenv("GOMEMLIMIT", "")
	boundMemory()()
	if got := debug.SetMemoryLimit(math.MaxInt64); got != memoryLimit {
		t.Errorf("the limit is %d", got)
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	boundMemory()()
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("the limit is %d, and the user's is another", got)
	}
}
