package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/decube/decube/internal/limits"
)

const (
	// idleGCPercent lets the heap grow by half between collections: an idle daemon is
	// small.
	idleGCPercent = 50
	// busyGCPercent is for a daemon that spends much time on collecting, such as a
	// validator under load.
	busyGCPercent = 200
	// busyMemory is the most bytes that the heap of a busy daemon grows by between
	// collections, unless half of what is in use is more.
	busyMemory = 128 << 20
	// busyShare is how much of a core must go into collecting for a second for a daemon
	// to become busy, and restShare what it takes to remain so. One second is enough: a
	// burst that is as long is paid for with memory that it gives back in the next.
	busyShare, restShare = 0.1, 0.02
)

// limitMemory has the garbage collector keep below what this process may use of the
// machine, unless the operator has set GOMEMLIMIT. It returns the limit in bytes, 0 for none.
func limitMemory(m limits.Machine) int64 {
	most := m.GoMemory()
	if os.Getenv("GOMEMLIMIT") != "" || most == 0 {
		return 0
	}
	debug.SetMemoryLimit(most)
	return most
}

// tuneMemory weighs memory against time until it is stopped, for a process that does
// the work of n daemons, unless the operator has set GOGC.
func tuneMemory(n int) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	debug.SetGCPercent(idleGCPercent)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		second := time.NewTicker(time.Second)
		defer second.Stop()
		t := tuner{room: uint64(max(n, 1)) * busyMemory, percent: idleGCPercent}
		samples := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/idle:cpu-seconds"}, {Name: "/gc/heap/live:bytes"}}
		for {
			select {
			case <-quit:
				return
			case <-second.C:
			}
			metrics.Read(samples)
			if percent, changed := t.next(samples[0].Value.Float64()-samples[1].Value.Float64(), samples[2].Value.Uint64()); changed {
				debug.SetGCPercent(percent)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// tuner decides how much the heap may grow between collections.
type tuner struct {
	room    uint64 // busyMemory of all daemons
	percent int
	spent   float64
	busy    bool
}

// next is told once a second how many processor seconds went into collections since
// the start, and how many bytes were in use after the last.
func (t *tuner) next(spent float64, live uint64) (percent int, changed bool) {
	share := spent - t.spent
	t.spent = spent
	t.busy = share >= busyShare || (t.busy && share >= restShare)
	percent = idleGCPercent
	if t.busy {
		percent = max(idleGCPercent, min(busyGCPercent, int(t.room*100/max(live, 1))))
	}
	changed = percent != t.percent
	t.percent = percent
	return percent, changed
}
