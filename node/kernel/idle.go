package kernel

import (
	"context"
	"runtime/debug"
	"time"
)

// idleAfter is how long nothing may have moved before memory is given back.
const idleAfter = 10 * time.Second

// trimmer gives memory back to the system once work has ended. Without it the
// buffers of the last transfer, 100 MiB after a fetch, stay for minutes: an idle
// daemon allocates too little for the garbage collector to begin by itself.
type trimmer struct {
	moved func() int64 // grows while there is work
	trim  func()
}

func newTrimmer(moved func() int64) *trimmer {
	return &trimmer{moved: moved, trim: debug.FreeOSMemory}
}

// run trims after each time of work, until ctx is done.
func (t *trimmer) run(ctx context.Context) error {
	tick := time.NewTicker(idleAfter)
	defer tick.Stop()
	last, worked := t.moved(), true // opening counts as work
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		moved := t.moved()
		if moved == last && worked {
			t.trim()
		}
		worked = moved != last
		last = moved
	}
}
