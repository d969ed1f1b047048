package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/local"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/protocols/exchange"
)

// defaultStall is how long a fetch may go on without progress when the request
// does not say.
const defaultStall = time.Minute

// errStalled ends a fetch that made no progress.
var errStalled = errors.New("no progress")

// snapshotsBackend keeps snapshots as the local store does, announces them, and
// fetches them from the swarm.
type snapshotsBackend struct {
	*local.Store

	node *Node
}

// Register implements server.Snapshots.
func (b snapshotsBackend) Register(ctx context.Context, root block.ID, req api.RegisterRequest) (api.Snapshot, error) {
	snap, err := b.Store.Register(ctx, root, req)
	if err != nil {
		return api.Snapshot{}, err
	}
	b.node.announce.snapshot(ctx, root)
	return snap, nil
}

// Forget implements server.Snapshots.
func (b snapshotsBackend) Forget(ctx context.Context, root block.ID) error {
	if err := b.Store.Forget(ctx, root); err != nil {
		return err
	}
	b.node.announce.forget(ctx, root)
	return nil
}

// Fetch implements server.Snapshots. A fetch leaves a pin, which goes away when
// nobody who fetched wants the snapshot kept.
func (b snapshotsBackend) Fetch(ctx context.Context, root block.ID, req api.FetchRequest, progress func(api.FetchProgress)) (api.FetchResult, error) {
	providers, err := host.ParsePeers(req.Providers)
	if err != nil {
		return api.FetchResult{}, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	err = b.node.fetches.enter(root, func() (bool, error) {
		_, err := b.node.store.Pin(ctx, root)
		if errors.Is(err, blockstore.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return api.FetchResult{}, err
	}
	res, err := b.fetch(ctx, root, req, providers, progress)
	return res, errors.Join(err, b.node.fetches.leave(root, func() error {
		return b.Store.Forget(context.WithoutCancel(ctx), root)
	}))
}

func (b snapshotsBackend) fetch(ctx context.Context, root block.ID, req api.FetchRequest, providers []peer.AddrInfo, progress func(api.FetchProgress)) (api.FetchResult, error) {
	stall := defaultStall
	if req.StallSeconds > 0 {
		stall = time.Duration(req.StallSeconds * float64(time.Second))
	}
	ctx, watch := watchStall(ctx, stall)
	defer watch.stop()
	res, err := b.node.exchange.Fetch(ctx, root, exchange.FetchOptions{
		Providers: providers,
		Progress: func(p exchange.Progress) {
			watch.saw(p)
			progress(fetchProgress(p))
		},
	})
	if err != nil {
		return api.FetchResult{}, fetchError(ctx, stall, err)
	}
	kept := b.node.fetches.got(root, req.Pin)
	if kept {
		if _, err := b.Register(ctx, root, api.RegisterRequest{Label: req.Label}); err != nil {
			return api.FetchResult{}, err
		}
	}
	return api.FetchResult{
		CID:           root,
		Blocks:        res.Blocks + res.Reused,
		Bytes:         res.Bytes + res.ReusedBytes,
		FetchedBlocks: res.Blocks,
		FetchedBytes:  res.Bytes,
		Pinned:        kept,
		Providers:     providerProgress(res.Providers),
		Seconds:       res.Seconds,
	}, nil
}

// fetchError gives the end of a fetch the sentinel of the API.
func fetchError(ctx context.Context, stall time.Duration, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errStalled):
		return fmt.Errorf("%w: no progress for %v: %w", api.ErrTimeout, stall, err)
	case errors.Is(err, exchange.ErrNoProviders):
		return fmt.Errorf("%w: %w", api.ErrTimeout, err)
	default:
		return err
	}
}

func fetchProgress(p exchange.Progress) api.FetchProgress {
	phase := api.PhaseFetching
	switch {
	case p.Total == 0 && len(p.Providers) == 0:
		phase = api.PhaseFinding
	case p.Total == 0:
		phase = api.PhaseManifest
	case p.Done == p.Total:
		phase = api.PhaseFlushing
	}
	return api.FetchProgress{
		Phase:       phase,
		Blocks:      p.Done,
		TotalBlocks: p.Total,
		Bytes:       p.DoneBytes,
		TotalBytes:  p.TotalBytes,
		Providers:   providerProgress(p.Providers),
	}
}

func providerProgress(results []exchange.ProviderResult) []api.ProviderProgress {
	list := make([]api.ProviderProgress, 0, len(results))
	for _, r := range results {
		p := api.ProviderProgress{ID: r.Peer.String(), Blocks: r.Blocks, Bytes: r.Bytes, Rate: r.Rate}
		switch {
		case r.Dropped:
			p.State = fmt.Sprintf("dropped: %v", r.Err)
		case r.Err != nil:
			p.State = r.Err.Error()
		}
		list = append(list, p)
	}
	return list
}

// stallWatch ends a fetch whose progress stands still.
type stallWatch struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc

	mu   sync.Mutex
	last int64
}

func watchStall(ctx context.Context, limit time.Duration) (context.Context, *stallWatch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &stallWatch{limit: limit, cancel: cancel}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	return ctx, w
}

// saw starts the time anew when there was progress.
func (w *stallWatch) saw(p exchange.Progress) {
	received := p.DoneBytes + p.Done
	for _, r := range p.Providers {
		received += r.Bytes
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if received != w.last {
		w.last = received
		w.timer.Reset(w.limit)
	}
}

func (w *stallWatch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
