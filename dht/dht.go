package dht

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/namespace"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	kadrecords "github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/block"
	"github.com/decube/decube/dht/records"
	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
)

var (
	// ErrNotConnected is returned by searches when no peer of the swarm is known.
	ErrNotConnected = errors.New("not connected to any peer of the swarm")
	// ErrNotFound is returned by FindPeer for a peer that nobody knows.
	ErrNotFound = errors.New("peer not found")
	// ErrPendingFull is returned by Provide when too many blocks wait already.
	ErrPendingFull = errors.New("too many blocks wait to be provided")
)

// Keys lists the blocks that a strategy announces. It is read to the end once
// in a while, so it must not hold everything in memory.
type Keys func(ctx context.Context, s Strategy) iter.Seq2[block.ID, error]

// Options are what a DHT may be given and does not need.
type Options struct {
	// Keys are the source of what is to be announced. It is read when the
	// key store cannot be trusted: at the first start, after an unclean stop, after
	// a change of strategy. nil announces what is provided one by one only.
	Keys Keys
	// Dialled reports whether an address may be dialled: of others no other is remembered,
	// nor passed on. Nil is all.
	Dialled func(ma.Multiaddr) bool
	// RecordsFile is where the records of who provides what are kept; empty is in memory.
	RecordsFile string
	// Records is the most of them; 0 is as many as a small machine has.
	Records int
	// Room is asked before RecordsFile grows by 1 MiB, which it does not on an error. Nil is no
	// bound but the disk's.
	Room func() error
	// Mistake is told of a peer that has broken the protocol. Nil is allowed.
	Mistake func(peer.ID)
	// Row says how many streams of others there may be; nil bounds nothing. It is one that admission
	// looks after.
	Row *limits.Row
	// Class says how a peer stands to this one; nil for strangers all.
	Class func(peer.ID) admission.Class
	// Refused is told of a stream for which there was no place. Nil is allowed.
	Refused func(network.Conn)
	// Log is told what an operator should know; nil for nobody.
	Log *slog.Logger
}

// DHT finds providers and announces blocks. All methods are safe for concurrent
// use.
type DHT struct {
	cfg     Config
	host    host.Host
	kad     *kad.IpfsDHT
	log     *slog.Logger
	keys    Keys
	records *records.Store
	known   *remembered
	old     datastore.Batching // has records that were kept elsewhere once
	pending *pending
	bulk    *bulk // nil under strategy none
	close   func() error
}

// New starts a DHT on h, which keeps what it announces in ds. It answers and searches
// from now on; Run announces. Whoever does not call Run must call Close.
func New(h host.Host, ds datastore.Batching, cfg Config, opts Options) (*DHT, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := &DHT{cfg: cfg, host: h, log: opts.Log, keys: opts.Keys}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if opts.Mistake == nil {
		opts.Mistake = func(peer.ID) {}
	}
	if opts.Class == nil {
		opts.Class = func(peer.ID) admission.Class { return admission.Stranger }
	}
	if opts.Refused == nil {
		opts.Refused = func(network.Conn) {}
	}
	d.pending = newPending(cfg.MaxPending)
	d.old = namespace.Wrap(ds, datastore.NewKey("/dht/records"))
	places, err := newPlaces(opts)
	if err != nil {
		return nil, err
	}
	if d.records, err = d.openRecords(opts); err != nil {
		return nil, err
	}
	d.known = newRemembered(h.Peerstore(), d.records.Stat().Limit)
	options := []kad.Option{
		kad.ProtocolPrefix(prefix(cfg.Network)),
		kad.Mode(cfg.Mode.option()),
		kad.BootstrapPeers(cfg.Bootstrap...),
		kad.ProviderDatastore(d.records),
		kad.ProviderManagerOpts(kadrecords.Cache(uncached{})),
		kad.OnRequestHook(d.heard),
		kad.AddressFilter(func(addrs []ma.Multiaddr) []ma.Multiaddr { return passedOn(addrs, opts.Dialled) }),
		kad.DisableValues(),
		kad.RoutingTableRefreshPeriod(cfg.RefreshInterval),
	}
	k, err := kad.New(framedHost{h, opts.Class, opts.Mistake, newPace(), places}, options...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dht: start: %w", err), d.records.Close())
	}
	d.kad = k
	if cfg.Strategy != None {
		d.bulk, err = newBulk(namespace.Wrap(ds, datastore.NewKey("/dht/provide")), cfg)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("dht: open key store: %w", err), k.Close(), d.records.Close())
		}
	}
	d.close = sync.OnceValue(func() error {
		var err error
		if d.bulk != nil {
			err = d.bulk.close()
		}
		err = errors.Join(err, d.kad.Close(), d.records.Close())
		places.close()
		return err
	})
	return d, nil
}

// Protocol returns the protocol that the peers of a network ask each other over.
func Protocol(network string) protocol.ID { return prefix(network) + "/kad/1.0.0" }

// prefix begins the name of a network's protocol.
func prefix(network string) protocol.ID { return protocol.ID("/decube/" + network) }

// Run announces until ctx ends, then closes the DHT. It returns nil when ctx
// ended it.
func (d *DHT) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.runPending(gctx) })
	g.Go(func() error { return d.forgetOld(gctx) })
	if d.bulk != nil {
		g.Go(func() error { return d.runBulk(gctx) })
	}
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, d.close())
}

// Close stops the DHT. It is for whoever does not call Run.
func (d *DHT) Close() error { return d.close() }

// Status is what a DHT is doing.
type Status struct {
	Mode     Mode     // as configured
	Strategy Strategy // as configured
	Peers    int      // peers in the routing table
	Pending  int      // blocks that wait for an urgent provide
	Keys     int64    // in the key store: all that is announced again and again
	Queued   int      // bulk keys that wait for their first provide
	Deferred int64    // bulk keys left to the next sweep because the queue was full
	Ready    bool     // the key store is up to date and the sweep runs
}

// Status returns what the DHT is doing; what it cannot learn before ctx ends is zero.
func (d *DHT) Status(ctx context.Context) Status {
	st := Status{Mode: d.cfg.Mode, Strategy: d.cfg.Strategy, Peers: d.kad.RoutingTable().Size(), Pending: d.pending.len()}
	if d.bulk != nil {
		d.bulk.status(ctx, &st)
	}
	return st
}

// Records returns what is held of the swarm's provider records.
func (d *DHT) Records() records.Stat { return d.records.Stat() }

// Covers reports whether blocks of one kind are announced.
func (d *DHT) Covers(k Kind) bool { return d.cfg.Strategy.Covers(k) }

// connected reports whether any peer of the swarm is known.
func (d *DHT) connected() bool { return d.kad.RoutingTable().Size() > 0 }

// FindPeer returns where a peer can be reached. It returns ErrNotConnected or
// ErrNotFound.
func (d *DHT) FindPeer(ctx context.Context, id peer.ID) (peer.AddrInfo, error) {
	info, err := d.kad.FindPeer(ctx, id)
	switch {
	case err == nil:
		return info, nil
	case ctx.Err() != nil:
		return peer.AddrInfo{}, fmt.Errorf("dht: find peer %s: %w", id, ctx.Err())
	case !d.connected():
		return peer.AddrInfo{}, fmt.Errorf("dht: find peer %s: %w", id, ErrNotConnected)
	}
	return peer.AddrInfo{}, fmt.Errorf("dht: find peer %s: %w: %w", id, ErrNotFound, err)
}
