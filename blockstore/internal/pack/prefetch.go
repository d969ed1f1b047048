package pack

const (
	// prefetchWindow is how far ahead of a sequential reader the disk works.
	prefetchWindow = 16 << 20
	// prefetchSlack is how far from each other reads may be that still count as
	// sequential: several goroutines may share the work.
	prefetchSlack = 4 << 20
)

// prefetch keeps the disk busy while somebody reads a pack in the order in which
// it was written: packs are written past the page cache, so a first restore
// finds nothing in memory. The two atomics are not changed together; a race
// costs a superfluous hint or a missing one.
func (p *file) prefetch(off, n int64) {
	end := off + n
	last := p.lastRead.Swap(end)
	if n < LargeRecord || off < last-prefetchSlack || off > last+prefetchSlack {
		return
	}
	ahead := p.ahead.Load()
	if ahead < end || ahead > end+prefetchWindow {
		ahead = end
	}
	if ahead-end > prefetchWindow/2 {
		return
	}
	to := min(end+prefetchWindow, p.end.Load())
	if to > ahead {
		p.ahead.Store(to)
		p.read.Prefetch(ahead, to-ahead)
	}
}
