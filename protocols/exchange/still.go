package exchange

import (
	"fmt"
	"time"
)

// What has to come of needed blocks while none is complete: as much as a server asks of a
// client while others wait, 64 KiB in 15 s, and never more than mostNeeded. Less is no better
// than nothing: providers that drip would keep a fetch for ever.
const (
	leastBytes = 64 << 10
	leastTime  = 15 * time.Second
	mostNeeded = 256 << 10
	// extensions is how often a call waits as long again because somebody who brought
	// blocks may bring more.
	extensions = 4
)

// needed returns how many bytes must come within a call's patience.
func needed(patience time.Duration) int64 {
	return min(mostNeeded, int64(patience.Seconds()*leastBytes/leastTime.Seconds()))
}

// impatience ends a call, or with the last of them the fetch, for which too little came.
type impatience struct {
	patience time.Duration
	came     int64 // bytes in that time, of blocks that are not complete
}

func (i impatience) Error() string {
	if i.came > 0 {
		return fmt.Sprintf("no block came for %v, and %d bytes of what would be one", i.patience, i.came)
	}
	return fmt.Sprintf("nothing came for %v", i.patience)
}

// progressed notes that a block came which the fetch needs. Nothing else counts, but for
// enough bytes of it: whoever says again and again what it holds, and brings nothing, would
// keep a fetch waiting for ever.
func (f *fetch) progressed() { f.moved.Store(int64(time.Since(f.started))) }

// ourselves does what takes time without anybody else being to blame: the stall clock
// stands meanwhile, and begins anew afterwards.
func (f *fetch) ourselves(do func() error) error {
	f.busy.Add(1)
	defer func() {
		f.progressed()
		f.busy.Add(-1)
	}()
	return do()
}

// silent returns how long the fetch has been waiting for others while not a byte came.
func (f *fetch) silent() time.Duration {
	if !f.waiting.Load() || f.busy.Load() > 0 {
		return 0
	}
	return time.Since(f.started) - time.Duration(max(f.moved.Load(), f.heard.Load()))
}

// high returns the most bytes that have been there of blocks, complete or not. What came of a
// block that is given up counts no more, so that nobody gets on by beginning again and again.
func (f *fetch) high() int64 {
	for {
		most, now := f.most.Load(), f.held.Load()
		if now <= most || f.most.CompareAndSwap(most, now) {
			return max(most, now)
		}
	}
}

// still returns how long w has been waiting for others while too little came. This is the
// only clock that ends a fetch with connected peers; StallTimeout is about one peer that
// stops in the middle of a message.
func (f *fetch) still(w *waiter, patience time.Duration) time.Duration {
	if !f.waiting.Load() || f.busy.Load() > 0 {
		return 0
	}
	now, high := time.Now(), f.high()
	if moved := f.started.Add(time.Duration(f.moved.Load())); moved.After(w.since) {
		w.since, w.mark, w.extended = moved, high, 0
	}
	if high-w.mark >= needed(patience) {
		w.since, w.mark = now, high
	}
	w.came = high - w.mark
	return now.Sub(w.since)
}
