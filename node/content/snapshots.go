package content

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/local"
	"github.com/decube/decube/block"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/protocols/exchange"
)

// snapshots keeps snapshots as the local store does, announces them, and
// fetches them from the swarm.
type snapshots struct {
	*local.Store

	part *Part
}

// Keep implements contentapi.Snapshots.
func (b snapshots) Keep(ctx context.Context, root block.ID, req api.KeepRequest) (api.Snapshot, error) {
	snap, err := b.Store.Keep(ctx, root, req)
	if err != nil {
		return api.Snapshot{}, err
	}
	b.part.announce.snapshot(ctx, root)
	b.part.kept()
	return snap, nil
}

// Forget implements contentapi.Snapshots.
func (b snapshots) Forget(ctx context.Context, root block.ID) error {
	if err := b.Store.Forget(ctx, root); err != nil {
		return err
	}
	b.part.announce.forget(ctx, root)
	b.part.kept()
	return nil
}

// Fetch implements contentapi.Snapshots. A fetch leaves a pin, which goes away when
// nobody who fetched wants the snapshot kept.
func (b snapshots) Fetch(ctx context.Context, root block.ID, req api.FetchRequest, progress func(api.FetchProgress)) (api.FetchResult, error) {
	providers, err := host.ParsePeers(req.Providers)
	if err != nil {
		return api.FetchResult{}, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	b.part.host.Told(providers...)
	err = b.part.fetches.enter(root, func() (bool, error) {
		_, err := b.part.store.Pin(ctx, root)
		if errors.Is(err, block.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return api.FetchResult{}, err
	}
	res, err := b.fetch(ctx, root, req, providers, progress)
	return res, errors.Join(err, b.part.fetches.leave(root, func() error {
		return b.Forget(context.WithoutCancel(ctx), root)
	}))
}

func (b snapshots) fetch(ctx context.Context, root block.ID, req api.FetchRequest, providers []peer.AddrInfo, progress func(api.FetchProgress)) (api.FetchResult, error) {
	if err := b.part.mendKept(ctx, root); err != nil {
		return api.FetchResult{}, err
	}
	res, err := b.part.exchange.Fetch(ctx, root, exchange.FetchOptions{
		Providers: providers,
		Patience:  time.Duration(req.StallSeconds * float64(time.Second)),
		Progress:  func(p exchange.Progress) { progress(fetchProgress(p)) },
	})
	if errors.Is(err, exchange.ErrNoProviders) {
		err = fmt.Errorf("%w: %w", api.ErrTimeout, err)
	}
	if err != nil {
		return api.FetchResult{}, err
	}
	kept := b.part.fetches.got(root, req.Pin)
	if kept {
		if _, err := b.Keep(ctx, root, api.KeepRequest{Label: req.Label}); err != nil {
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
