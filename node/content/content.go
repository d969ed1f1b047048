// Package content is the part of a node that has its snapshots travel: it serves blocks to
// other peers and fetches them, keeps snapshots, and tells the swarm which there are.
//
//	API (snapshots, block sessions)
//	 │
//	 ├── exchange ── blocks from and to peers, by way of the block store
//	 └── announcer ── the DHT
//
// A capability is a package like this one beside it; see package kernel.
package content

import (
	"context"
	"fmt"
	"iter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/api/local"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/contentapi"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/protocols/exchange"
	"github.com/decube/decube/snapshot"
)

// Config is the exchange section: what an operator may want to bound.
type Config struct {
	UploadRate int64         // bytes a second of blocks to all peers together; 0 is no bound but that of all that is sent
	MaxStreams int           // streams served at a time
	MaxFetches int           // fetches at a time; further ones wait
	Patience   time.Duration // a fetch for which nothing comes for this long fails
}

// Default returns the settings of an ordinary peer.
func Default() Config {
	x := exchange.Default()
	return Config{UploadRate: x.UploadRate, MaxStreams: x.Limits.Streams, MaxFetches: x.Limits.Fetches, Patience: x.Limits.Patience}
}

// room returns the configuration of the room.
func (c Config) room() exchange.Config {
	cfg := exchange.Default()
	cfg.UploadRate = c.UploadRate
	cfg.Limits.Streams, cfg.Limits.Fetches, cfg.Limits.Patience = c.MaxStreams, c.MaxFetches, c.Patience
	return cfg
}

// Within returns the settings for a peer that bounds what it sends of anything: blocks are at
// most fifteen sixteenths of that. What does not fit would wait in the multiplexers of
// connections, and all else that is said over them behind it; and the turns of those who are
// sent blocks mean nothing where all of them have had theirs already.
func (c Config) Within(b host.Bandwidth) Config {
	if most := b.Upload / 16 * 15; b.Upload > 0 && (c.UploadRate == 0 || c.UploadRate > most) {
		c.UploadRate = max(most, exchange.LeastUploadRate)
	}
	return c
}

// Validate checks what the exchange will be given.
func (c Config) Validate() error { return c.room().Validate() }

// Part is the part. Its methods are safe for concurrent use.
type Part struct {
	cfg    Config
	memory int64 // of the budget

	available func() error // nil before Open
	host      *host.Host
	store     *blockstore.Store
	local     *local.Store
	exchange  *exchange.Exchange
	announce  *announcer
	kept      func() // other snapshots are kept than before
	fetches   fetches
}

var (
	_ kernel.Part    = (*Part)(nil)
	_ kernel.Limiter = (*Part)(nil)
)

// New returns the part with valid settings.
func New(cfg Config) *Part { return &Part{cfg: cfg} }

// Name implements kernel.Part.
func (p *Part) Name() string { return "content" }

// Limits implements kernel.Limiter. The standard number of streams is lower on a machine
// that has no room for them; one that was chosen is refused there, a config.ErrInvalid.
func (p *Part) Limits(b *limits.Budget) error {
	row := b.Exchange(string(exchange.ID), exchange.ServiceName)
	most := int(row.Memory / exchange.StreamMemory)
	switch {
	case p.cfg.MaxStreams == Default().MaxStreams:
		p.cfg.MaxStreams = min(p.cfg.MaxStreams, row.Streams)
	case p.cfg.MaxStreams > most:
		return config.Invalid("exchange.max_streams", p.cfg.MaxStreams, "must be at most %d: this machine has room for so many", most)
	}
	row.Streams = p.cfg.MaxStreams
	row.PerPeer = min(row.PerPeer, row.Streams)
	// What is fetched comes over the same protocol. Others may have needed more than their
	// share; with less than half of it there would be no use in serving.
	want := row.Memory + b.Fetch(exchange.ServiceName).Memory
	row.Memory = max(min(want, b.Free()), want/2)
	p.memory = row.Memory
	return b.Add(row)
}

// Open implements kernel.Part.
func (p *Part) Open(_ context.Context, k *kernel.Kernel) (kernel.Running, error) {
	p.available, p.host, p.store, p.local = k.Available, k.Host, k.Store, k.Local
	p.announce = newAnnouncer(k.DHT, k.Store, k.Log.With("room", "announce"))
	var err error
	p.exchange, err = exchange.New(k.Host, exchangeStore{k.Store, p.announce}, k.DHT, loadIndex, p.cfg.room(),
		exchange.Options{Peers: k.Host, Log: k.Log.With("room", "exchange"), Observer: newMetrics(k.Metrics), Memory: p.memory})
	if err != nil {
		return kernel.Running{}, err
	}
	k.Events.OnRemoved(p.announce.removed)
	p.kept = k.Events.Kept
	return kernel.Running{
		Run:    p.run,
		Drain:  p.exchange.Drain,
		Routes: []server.Group{contentapi.Group(contentapi.Backend{Snapshots: snapshots{p.local, p}, Blocks: blocks{p}})},
	}, nil
}

func (p *Part) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.exchange.Run(ctx) })
	g.Go(func() error { return p.announce.run(ctx) })
	return g.Wait()
}

// FetchBlocks fetches single blocks from the swarm into the store, with what else is missing of
// the kept snapshots that they are of if nobody is found to have them otherwise. The error is an
// *exchange.MissingError that names those that nobody had.
func (p *Part) FetchBlocks(ctx context.Context, ids []block.ID) error {
	if p.available == nil {
		return fmt.Errorf("%w: content is not open yet", kernel.ErrUnavailable)
	}
	if err := p.available(); err != nil {
		return err
	}
	return p.mend(ctx, ids)
}

// loadIndex is an exchange.Loader over the snapshot format.
func loadIndex(ctx context.Context, src exchange.Source, root block.ID) (exchange.Index, error) {
	r, err := snapshot.LoadRoot(ctx, src, root)
	if err != nil {
		return nil, err
	}
	return snapshot.LoadIndex(ctx, src, r)
}

// Keys lists for the DHT what of a store a strategy announces.
func Keys(store *blockstore.Store) dht.Keys {
	return func(ctx context.Context, s dht.Strategy) iter.Seq2[block.ID, error] {
		switch s {
		case dht.All:
			return store.IDs(ctx)
		case dht.Pinned:
			return pinnedBlocks(ctx, store)
		case dht.Roots:
			return pinnedRoots(ctx, store, true)
		case dht.None:
		}
		return func(func(block.ID, error) bool) {}
	}
}
