package exchange

import (
	"fmt"
	"time"
)

// impatience ends a call, or with the last of them the fetch, for which nothing came.
type impatience time.Duration

func (i impatience) Error() string { return fmt.Sprintf("nothing came for %v", time.Duration(i)) }

// progressed notes that bytes of a block came which the fetch needs. Nothing else
// counts: whoever says again and again what it holds, and brings nothing, would keep
// a fetch waiting for ever.
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

// still returns how long the fetch has been waiting for others while nothing came.
// This is the only clock that ends a fetch with connected peers; StallTimeout is
// about one peer that stops in the middle of a message.
func (f *fetch) still() time.Duration {
	if !f.waiting.Load() || f.busy.Load() > 0 {
		return 0
	}
	return time.Since(f.started) - time.Duration(f.moved.Load())
}
