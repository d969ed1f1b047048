// Package catalog is the part of a node that keeps what the swarm knows: it stores what is
// written here, tells others of it over GossipSub, and asks them for what it lacks.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/catalogapi"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/records/badgerstore"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/protocols/catalogsync"
)

// foreignShare is which part of as much memory as all protocols have together what strangers have
// written may take beside it.
const foreignShare = 4

// memTable is how much of what is written the store holds in memory: many nodes write little.
const memTable = 2 << 20

// dirName is how many digits of a swarm's ID its directory is called by.
const dirName = 16

// Part is the part.
type Part struct {
	swarm   string // its name
	repo    repo.Dir
	row     limits.Row
	foreign int64
	running *running // nil before it is open, and where it could not be
}

var (
	_ kernel.Part    = (*Part)(nil)
	_ kernel.Limiter = (*Part)(nil)
)

// New returns the part of a node in the swarm of a name. In the repository it reads the peer's
// identity, to sign with it.
func New(swarm string, d repo.Dir) *Part { return &Part{swarm: swarm, repo: d} }

// Name implements kernel.Part.
func (p *Part) Name() string { return "catalog" }

// Limits implements kernel.Limiter.
func (p *Part) Limits(b *limits.Budget) error {
	p.row = b.Catalog(string(catalogsync.ID), catalogsync.ServiceName)
	p.row.Memory = max(p.row.Memory, catalogsync.LeastMemory)
	p.foreign = min(crdtsync.DefaultForeign, b.Memory/foreignShare)
	return b.Add(p.row, b.Gossip(string(gossipID)))
}

// Open implements kernel.Part. A store that is damaged, or without room, is why there is no
// catalog then: the node goes on without.
func (p *Part) Open(ctx context.Context, k *kernel.Kernel) (kernel.Running, error) {
	r, err := p.open(ctx, k)
	if errors.Is(err, records.ErrNoSpace) || errors.Is(err, records.ErrCorrupt) {
		return kernel.Running{
			Run:    func(context.Context) error { return err },
			Routes: []server.Group{catalogapi.None(err)},
		}, nil
	}
	if err != nil {
		return kernel.Running{}, err
	}
	p.running = r
	k.Metrics.MustRegister(newGauges(r.catalog.Status))
	return kernel.Running{
		Run: r.run, Drain: r.sync.Drain, Close: r.catalog.Close, Routes: []server.Group{catalogapi.Group(r.catalog)},
	}, nil
}

func (p *Part) open(ctx context.Context, k *kernel.Kernel) (*running, error) {
	identity, err := host.LoadIdentity(p.repo.Identity())
	if err != nil {
		return nil, err
	}
	key, err := host.SigningKey(identity)
	if err != nil {
		return nil, err
	}
	swarm, err := capability.NewUnowned(p.swarm, sig.NewVerifier(0))
	if err != nil {
		return nil, fmt.Errorf("the swarm %q: %w", p.swarm, err)
	}
	log := k.Log.With("room", "catalog")
	// Who joins another swarm, and comes back, finds what was written in each.
	dir := filepath.Join(k.Dir, swarm.Swarm().String()[:dirName])
	store, err := badgerstore.Open(badgerstore.Options{Dir: dir, MemTable: memTable, Log: log})
	if err != nil {
		return nil, err
	}
	r := &running{log: log}
	r.net = newNetwork(k.Host, log)
	r.catalog, err = crdtsync.Open(ctx, crdtsync.Options{
		Document: swarm, Key: key, Store: store, Network: r.net, Foreign: p.foreign, Log: log,
	})
	if err != nil {
		return nil, err
	}
	r.sync = catalogsync.New(k.Host, catalogsync.Options{
		Swarm: swarm.Swarm(), Answer: r.catalog.Answer, Row: p.row, Peers: k.Host, Log: log,
	})
	r.keeper = &keeper{
		catalog: r.catalog, list: k.Local.List, partial: partial(k.Store), named: !swarm.Current().Public, log: log,
		changed: make(chan struct{}, 1), interval: keepEvery,
	}
	k.Events.OnKept(r.keeper.kept)
	r.net.sync = r.sync
	r.net.topic = "decube/catalog/" + swarm.Swarm().String()
	return r, nil
}

// partial returns what lists the kept roots of which not all is here.
func partial(store *blockstore.Store) func(context.Context) (map[block.ID]bool, error) {
	return func(ctx context.Context) (map[block.ID]bool, error) {
		roots := map[block.ID]bool{}
		for pin, err := range store.Pins(ctx) {
			if err != nil {
				return nil, err
			}
			if pin.Partial {
				roots[pin.Root] = true
			}
		}
		return roots, nil
	}
}

// run works until ctx is done.
func (r *running) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var working sync.WaitGroup
	defer working.Wait()
	failed := make(chan error, 4)
	for _, work := range []func(context.Context) error{
		r.catalog.Run, r.sync.Run, r.keeper.run, func(ctx context.Context) error { return r.net.run(ctx, r.catalog) },
	} {
		working.Go(func() { failed <- work(ctx) })
	}
	var errs []error
	for range cap(failed) {
		err := <-failed
		if err != nil || ctx.Err() == nil {
			cancel() // without one of them the others are of no use
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
