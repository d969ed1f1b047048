package main

import "testing"

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
