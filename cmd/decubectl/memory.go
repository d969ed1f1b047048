package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memoryLimit is how many bytes of memory a command may grow to at will. From then on it
// collects garbage more often, unless that much is in use.
const memoryLimit = 104 << 20

// boundMemory keeps a command small until it is stopped, unless GOMEMLIMIT says how large
// it may be.
func boundMemory() (stop func()) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	debug.SetMemoryLimit(memoryLimit)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		limit := int64(memoryLimit)
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			metrics.Read(live)
			if next := limitFor(live[0].Value.Uint64()); next != limit {
				limit = next
				debug.SetMemoryLimit(limit)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// limitFor returns the limit for a program of which live bytes were in use after the last
// collection. Near that there would be one collection after the other, so the limit keeps
// away from it.
func limitFor(live uint64) int64 {
	return max(memoryLimit, int64(live)+int64(live)/8+12<<20)
}
