package exchange

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/block"
)

// FetchOptions is what a fetch may be given.
type FetchOptions struct {
	// Progress is called about five times a second, from the goroutine that called
	// Fetch, and once at the end. A call that takes long delays Fetch's return.
	Progress func(Progress)
	// Providers are asked beside those that the search finds.
	Providers []peer.AddrInfo
	// Patience is how long the call waits while nothing comes; 0 is Limits.Patience.
	Patience time.Duration
}

// FetchResult is what a fetch did. It is valid as far as the fetch came when the
// fetch fails.
type FetchResult struct {
	Root   block.ID
	Blocks int64 // fetched, without the root and its index
	Bytes  int64
	// Reused and ReusedBytes were held already.
	Reused      int64
	ReusedBytes int64
	// Duplicate is the bytes that came twice, at the end.
	Duplicate int64
	Seconds   float64
	Providers []ProviderResult
}

// ProviderResult is one provider's part in a fetch.
type ProviderResult struct {
	Peer   peer.ID
	Blocks int64
	Bytes  int64
	Rate   float64 // bytes a second, lately
	Err    error   // why it was dropped or failed; nil when it served to the end
	// Dropped says that it broke the protocol or stalled.
	Dropped bool
}

// Progress is the state of a fetch.
type Progress struct {
	Root block.ID
	// Total and TotalBytes are zero until the chunk index is there.
	Total, TotalBytes int64
	// Done and DoneBytes include what was held already.
	Done, DoneBytes int64
	Rate            float64 // bytes a second, lately
	Providers       []ProviderResult
}

// errDone ends a fetch that is complete.
var errDone = errors.New("fetch complete")

// fetch is one running Fetch.
type fetch struct {
	x       *Exchange
	root    block.ID
	callers *download
	started time.Time
	roster  *roster
	group   *errgroup.Group
	stop    context.CancelCauseFunc
	search  sync.Once

	writing sync.Mutex // guards w before the store loop has it alone
	w       Writer

	ready  chan struct{} // closed once sched is there
	sched  *schedule
	index  Index
	total  int64 // bytes
	reused FetchResult

	buffers *buffers
	jobs    chan job
	good    chan goodBlock

	blocks    atomic.Int64
	bytes     atomic.Int64
	duplicate atomic.Int64

	// The stall clock, see still.
	waiting atomic.Bool  // what is missing can come from others only
	busy    atomic.Int32 // work of our own that is under way
	moved   atomic.Int64 // when the clock began anew, in ns since started
	heard   atomic.Int64 // when the last bytes of a block came, likewise
	held    atomic.Int64 // bytes of blocks that came, and of those that are on their way
	most    atomic.Int64 // the most that has been
}

// Fetch makes the local copy of a snapshot complete and pins it. It finds
// providers by itself, continues what an earlier fetch left, and returns once
// everything is durable. Until then the root has a partial pin.
//
// It returns a *NoProvidersError when nobody was found to fetch from before ctx
// ended, or when nothing came for the patience of the call, or nobody was connected
// for Limits.OfflineGrace; the loader's error for a root or an index that is not
// valid; and the store's error when it fails.
//
// Calls for the same root share one download, which goes on for as long as one of
// them waits, each with its own patience. Of a call that leaves before, only the
// result's Root is valid.
func (x *Exchange) Fetch(ctx context.Context, root block.ID, opts FetchOptions) (FetchResult, error) {
	d, w, err := x.join(ctx, root, opts.Providers)
	if err != nil {
		return FetchResult{Root: root}, fmt.Errorf("exchange: fetch %s: %w", root, err)
	}
	progress := opts.Progress
	if progress == nil {
		progress = func(Progress) {}
	}
	patience := opts.Patience
	if patience <= 0 {
		patience = x.cfg.Limits.Patience
	}
	return d.await(ctx, w, progress, patience)
}

// download fetches d.root until ctx ends.
func (x *Exchange) download(ctx context.Context, d *download) (FetchResult, error) {
	root := d.root
	if x.fetches.Acquire(ctx, 1) != nil {
		return FetchResult{Root: root}, fmt.Errorf("exchange: fetch %s: %w", root, context.Cause(ctx))
	}
	defer x.fetches.Release(1)
	w, err := x.store.NewWriter(ctx)
	if err != nil {
		return FetchResult{Root: root}, fmt.Errorf("exchange: fetch %s: %w", root, err)
	}
	f := &fetch{
		x: x, root: root, callers: d, started: time.Now(), w: w,
		roster:  newRoster(x.cfg.Limits, x.conduct),
		ready:   make(chan struct{}),
		buffers: newBuffers(x.cfg.Limits.Blocks),
		jobs:    make(chan job, runtime.GOMAXPROCS(0)),
		good:    make(chan goodBlock, x.cfg.Limits.Blocks),
	}
	d.runs(f)
	err = errors.Join(f.run(ctx), w.Close())
	res := f.result()
	if err != nil {
		return res, fmt.Errorf("exchange: fetch %s: %w", root, err)
	}
	return res, nil
}

// run does the work and returns when every goroutine has ended.
func (f *fetch) run(ctx context.Context) error {
	stopped, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	f.stop = stop
	group, gctx := errgroup.WithContext(stopped)
	f.group = group
	group.Go(func() error { return f.steer(gctx) })
	group.Go(func() error { return f.report(gctx) })
	err := group.Wait()
	switch cause := context.Cause(stopped); {
	case errors.Is(cause, errDone):
		err = f.x.store.Pin(ctx, f.root, false)
	case cause != nil:
		err = f.explain(ctx, cause)
	}
	f.callers.tell(f.progress())
	return err
}

// explain says how far a fetch came that was stopped.
func (f *fetch) explain(ctx context.Context, cause error) error {
	var none *NoProvidersError
	switch {
	case errors.As(cause, &none):
		return cause
	case errors.As(cause, new(impatience)):
		return f.noProviders(cause)
	case ctx.Err() == nil:
		return cause
	case f.blocks.Load() == 0 && f.roster.serving() == 0:
		return f.noProviders(cause)
	}
	p := f.progress()
	return fmt.Errorf("%d of %d blocks there: %w", p.Done, p.Total, cause)
}

// steer goes through the phases of a fetch: the manifest, what is held, the
// rest.
func (f *fetch) steer(ctx context.Context) error {
	index, err := f.x.load(ctx, manifestSource{f: f, search: func() { f.startSearch(ctx) }}, f.root)
	if err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	if index.Len() > MaxOrdinals {
		return fmt.Errorf("read the manifest: %d blocks, at most %d can be exchanged", index.Len(), MaxOrdinals)
	}
	var held bitmap
	err = f.ourselves(func() (err error) {
		held, err = f.plan(ctx, index)
		return err
	})
	if err != nil {
		return err
	}
	f.index, f.sched = index, newSchedule(index, held, f.x.cfg.Limits)
	close(f.ready)
	if _, done := f.sched.wait(); !done {
		f.startSearch(ctx)
	}
	f.group.Go(func() error { return f.bring(ctx) })
	if err := f.keep(ctx); err != nil {
		return err
	}
	f.stop(errDone)
	return nil
}

// bring has blocks verified and orphans looked up until all is done, then ends
// the store loop.
func (f *fetch) bring(ctx context.Context) error {
	defer close(f.good)
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error { return f.verify(ctx) })
	}
	group.Go(func() error { return f.orphans(ctx) })
	group.Go(func() error {
		for {
			changed, done := f.sched.wait()
			if done {
				return errDone // ends the others
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	if err := group.Wait(); !errors.Is(err, errDone) {
		return err
	}
	return nil
}

// plan makes the manifest durable, pins it, and finds out what is held already.
func (f *fetch) plan(ctx context.Context, index Index) (bitmap, error) {
	if err := f.w.Flush(ctx); err != nil {
		return nil, fmt.Errorf("store the manifest: %w", err)
	}
	if err := f.x.store.Pin(ctx, f.root, true); err != nil {
		return nil, fmt.Errorf("pin: %w", err)
	}
	held, err := heldOf(ctx, index, f.w.Touch)
	if err != nil {
		return nil, fmt.Errorf("find what is held: %w", err)
	}
	for i := range index.Len() {
		_, size := index.At(i)
		f.total += int64(size)
		if held.has(i) {
			f.reused.Reused++
			f.reused.ReusedBytes += int64(size)
		}
	}
	return held, nil
}

// drop ends the use of m for what it did.
func (f *fetch) drop(m *member, err error) {
	if !f.roster.ban(m, outcomeOf(context.Background(), err), err, time.Now()) {
		return
	}
	f.x.log.Warn("provider dropped", "peer", m.info.ID.String(), "root", f.root.String(), "err", err)
	f.x.observer.Dropped(m.info.ID, err)
}
