package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/decube/decube/block"
)

// buffers are the memory that blocks are received into: at most a number of
// them, each made when it is first needed and large enough for any block.
type buffers struct {
	free  chan []byte
	spare chan struct{} // a token for each that was not made yet
}

func newBuffers(n int) *buffers {
	b := &buffers{free: make(chan []byte, n), spare: make(chan struct{}, n)}
	for range n {
		b.spare <- struct{}{}
	}
	return b
}

// get waits for a buffer.
func (b *buffers) get(ctx context.Context) ([]byte, error) {
	select {
	case buf := <-b.free:
		return buf, nil
	default:
	}
	select {
	case buf := <-b.free:
		return buf, nil
	case <-b.spare:
		return make([]byte, block.MaxSize), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *buffers) put(buf []byte) { b.free <- buf[:cap(buf)] }

// job is a block as it came.
type job struct {
	ordinal int
	data    []byte // a buffer
	counted int64  // of it, for the stall clock
	from    *member
}

// goodBlock is a block that was verified.
type goodBlock struct {
	b       block.Block
	release func()
}

// verify hashes what comes and passes on what is good. A block that is not good
// ends the use of the peer it came from.
func (f *fetch) verify(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case j := <-f.jobs:
			id, _ := f.index.At(j.ordinal)
			b, err := block.Check(id, j.data)
			if err != nil {
				f.buffers.put(j.data)
				f.held.Add(-j.counted)
				f.sched.verified(j.ordinal, false)
				f.drop(j.from, hostile("%w", err))
				continue
			}
			f.x.observer.Fetched(j.from.info.ID, b.Len())
			good := f.accept(ctx, goodBlock{b: b, release: func() { f.buffers.put(j.data) }}, j.from)
			f.sched.verified(j.ordinal, good)
		}
	}
}

// accept hands a verified block to the store loop, before the schedule hears
// that it is done: when all is done, all has been handed over. It reports
// whether it could before ctx ended.
func (f *fetch) accept(ctx context.Context, g goodBlock, from *member) bool {
	select {
	case f.good <- g:
	case <-ctx.Done():
		return false
	}
	f.blocks.Add(1)
	f.bytes.Add(int64(g.b.Len()))
	f.progressed()
	f.roster.credit(from, g.b.Len(), time.Now())
	return true
}

// keep stores verified blocks and makes them durable now and then, and at the
// end: also when ctx ends, so that what was received is not fetched again.
func (f *fetch) keep(ctx context.Context) error {
	cfg := f.x.cfg
	ctx = context.WithoutCancel(ctx) // it ends when nothing comes any more
	flush := time.NewTicker(cfg.FlushInterval)
	defer flush.Stop()
	var dirty int64
	for {
		due := false
		select {
		case g, more := <-f.good:
			if !more {
				return f.flush(ctx)
			}
			if err := f.ourselves(func() error { return f.w.Add(ctx, g.b, g.release) }); err != nil {
				return fmt.Errorf("store %s: %w", g.b.ID(), err)
			}
			dirty += int64(g.b.Len())
			due = dirty >= cfg.FlushBytes
		case <-flush.C:
			due = dirty > 0
		}
		if due {
			dirty = 0
			if err := f.flush(ctx); err != nil {
				return err
			}
		}
	}
}

func (f *fetch) flush(ctx context.Context) error {
	if err := f.ourselves(func() error { return f.w.Flush(ctx) }); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}
