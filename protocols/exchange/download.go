package exchange

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
)

// download is the one running fetch of a root, for all who asked for it.
type download struct {
	root  block.ID
	stop  context.CancelCauseFunc
	added chan struct{} // buffered, 1: there are further providers
	done  chan struct{} // closed at the end, after which res, err and last stay

	res FetchResult
	err error

	mu        sync.Mutex
	waiting   map[*waiter]struct{}
	left      bool // nobody waits: it is ending
	providers []peer.AddrInfo
	last      *Progress
	running   *fetch // nil while it waits for its turn
}

// waiter is one call of Fetch.
type waiter struct {
	progress chan Progress // buffered, 1: the latest

	// Of its stall clock, which the call itself looks at.
	since    time.Time
	mark     int64 // bytes that were there then
	came     int64 // since then
	extended int
}

// join returns the download of root with one more who waits for it, and begins it
// if there is none. ctx bounds the wait for one that is ending.
func (x *Exchange) join(ctx context.Context, root block.ID, providers []peer.AddrInfo) (*download, *waiter, error) {
	w := &waiter{progress: make(chan Progress, 1), since: time.Now()}
	for {
		x.joining.Lock()
		d := x.downloads[root]
		if d == nil {
			d = x.begin(ctx, root)
		}
		joined := d.enter(w, providers)
		x.joining.Unlock()
		if joined {
			return d, w, nil
		}
		select {
		case <-d.done:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

// begin starts a download, which outlives ctx. joining is held.
func (x *Exchange) begin(ctx context.Context, root block.ID) *download {
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	d := &download{
		root: root, stop: stop,
		added:   make(chan struct{}, 1),
		done:    make(chan struct{}),
		waiting: map[*waiter]struct{}{},
	}
	x.downloads[root] = d
	go func() {
		defer stop(nil)
		res, err := x.download(ctx, d)
		x.joining.Lock()
		delete(x.downloads, root)
		x.joining.Unlock()
		d.res, d.err = res, err
		close(d.done)
	}()
	return d
}

// enter adds w, unless the download is ending already.
func (d *download) enter(w *waiter, providers []peer.AddrInfo) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left {
		return false
	}
	d.waiting[w] = struct{}{}
	if len(providers) > 0 {
		d.providers = append(d.providers, providers...)
		select {
		case d.added <- struct{}{}:
		default:
		}
	}
	return true
}

// leave takes w away, and ends the download for cause when nobody waits any more.
// It reports whether that is so.
func (d *download) leave(w *waiter, cause error) (ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.waiting, w)
	if len(d.waiting) > 0 {
		return false
	}
	d.left = true
	d.stop(cause)
	return true
}

// tell passes progress to everyone who waits; who is slow misses all but the last.
func (d *download) tell(p Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = &p
	for w := range d.waiting {
		select {
		case <-w.progress:
		default:
		}
		w.progress <- p
	}
}

// known returns the providers that were named by those who wait, or have waited.
func (d *download) known() []peer.AddrInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.providers)
}

// runs says that it is the download's turn.
func (d *download) runs(f *fetch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = f
}

// patient returns how long w still waits for more to come, 0 if it has waited for long
// enough. Waiting for other fetches to end does not count: they have patience of their own.
func (d *download) patient(w *waiter, patience time.Duration) time.Duration {
	d.mu.Lock()
	f := d.running
	d.mu.Unlock()
	if f == nil {
		return patience
	}
	left := patience - f.still(w, patience)
	if left <= 0 && w.extended < extensions && f.roster.hopeful(patience, time.Now()) {
		w.extended++
		w.since = time.Now()
		return patience
	}
	return max(0, left)
}

// await waits for the end of the download, or of ctx, or for patience to run out.
func (d *download) await(ctx context.Context, w *waiter, progress func(Progress), patience time.Duration) (FetchResult, error) {
	ended, stall := ctx.Done(), time.NewTimer(patience)
	defer stall.Stop()
	for gone := false; ; {
		select {
		case <-stall.C:
			if left := d.patient(w, patience); left > 0 {
				stall.Reset(left)
				continue
			}
			if cause := (impatience{patience, w.came}); !d.leave(w, cause) {
				return FetchResult{Root: d.root}, fmt.Errorf("exchange: fetch %s: %w", d.root, d.running.noProviders(cause))
			}
			ended, gone = nil, true
		case p := <-w.progress:
			progress(p)
			if !gone {
				stall.Reset(d.patient(w, patience))
			}
		case <-d.done:
			if d.last != nil {
				progress(*d.last)
			}
			return d.res, d.err
		case <-ended:
			if !d.leave(w, context.Cause(ctx)) {
				return FetchResult{Root: d.root}, fmt.Errorf("exchange: fetch %s: %w", d.root, context.Cause(ctx))
			}
			ended = nil // the download's end is near, and tells how far it came
		}
	}
}
