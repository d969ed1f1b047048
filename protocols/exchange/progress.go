package exchange

import (
	"context"
	"time"
)

// reportStep is how often progress is reported.
const reportStep = 200 * time.Millisecond

// report tells the callers about the progress until the fetch ends.
func (f *fetch) report(ctx context.Context) error {
	step := time.NewTicker(reportStep)
	defer step.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-step.C:
			f.callers.tell(f.progress())
		}
	}
}

// progress returns the state of the fetch.
func (f *fetch) progress() Progress {
	p := Progress{Root: f.root}
	select {
	case <-f.ready:
	default:
		return p
	}
	p.Total, p.TotalBytes = int64(f.index.Len()), f.total
	p.Done = f.blocks.Load() + f.reused.Reused
	p.DoneBytes = f.bytes.Load() + f.reused.ReusedBytes
	p.Providers = f.providers()
	for _, m := range p.Providers {
		p.Rate += m.Rate
	}
	return p
}

// result returns what the fetch has done.
func (f *fetch) result() FetchResult {
	r := f.reused
	r.Root = f.root
	r.Blocks, r.Bytes, r.Duplicate = f.blocks.Load(), f.bytes.Load(), f.duplicate.Load()
	r.Seconds = time.Since(f.started).Seconds()
	r.Providers = f.providers()
	return r
}

// providers lists those that brought something, or were dropped.
func (f *fetch) providers() []ProviderResult {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	var all []ProviderResult
	for _, m := range f.roster.table.order {
		if m.blocks == 0 && !m.dropped && m.standing != holding {
			continue
		}
		r := ProviderResult{Peer: m.info.ID, Blocks: m.blocks, Bytes: m.bytes, Err: m.err, Dropped: m.dropped}
		if m.holder != nil {
			r.Rate = f.sched.rate(m.holder)
		}
		all = append(all, r)
	}
	return all
}
