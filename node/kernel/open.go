package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"syscall"
	"time"

	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"github.com/decube/decube/api/local"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/contentapi"
	"github.com/decube/decube/api/server/ledgerapi"
	"github.com/decube/decube/api/server/storeapi"
	"github.com/decube/decube/api/server/swarmapi"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/protocols/exchange"
	"github.com/decube/decube/snapshot"
)

// open opens the rooms from the bottom up. Each one that needs closing is put on
// the list of closers at once.
func (n *Node) open(ctx context.Context) error {
	if err := repo.Check(string(n.repo)); err != nil {
		return err
	}
	if err := config.Validate(&n.cfg); err != nil {
		return err
	}
	var err error
	if n.genesis, err = loadGenesis(n.repo); err != nil {
		return err
	}
	guard, err := repo.Lock(string(n.repo))
	if repo.IsReadOnly(err) {
		err = fmt.Errorf("%w; a daemon must write to its repository, decubectl alone can list, verify and restore what is in it", err)
	}
	if err != nil {
		return err
	}
	n.closeLater(guard.Unlock)
	n.metrics = newMetrics()
	n.healer = newHealer(n.fetchBlocks, n.log.With("room", "heal"))
	for _, step := range []func(context.Context) error{n.openStore, n.openSwarm, n.openLedger, n.listen, n.openAPI} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) closeLater(f func() error) { n.closers = append(n.closers, f) }

func (n *Node) openStore(context.Context) error {
	opts := blockstore.Options{Log: n.log.With("room", "blockstore"), Observer: storeObserver{n.metrics, n.healer}}
	store, err := blockstore.Open(n.repo.Blocks(), n.cfg.Storage, opts)
	if errors.Is(err, blockstore.ErrNoSpace) {
		// What is held can be served all the same.
		n.log.Error("the block store is open for reading only until the daemon is started with more space", "err", err)
		opts.ReadOnly = true
		store, err = blockstore.Open(n.repo.Blocks(), n.cfg.Storage, opts)
	}
	if err != nil {
		return err
	}
	n.store = store
	n.closeLater(store.Close)
	return nil
}

// openSwarm opens the host and what finds and moves blocks over it.
func (n *Node) openSwarm(ctx context.Context) error {
	key, err := host.LoadIdentity(n.repo.Identity())
	if err != nil {
		return err
	}
	n.host, err = host.New(n.cfg.P2P, host.Options{
		Identity:   key,
		UserAgent:  n.version.UserAgent(userAgent),
		Datastore:  n.metadata(ctx, "peers"),
		Limit:      n.limit,
		Registerer: n.metrics.registry,
		Log:        n.log.With("room", "host"),
	})
	if err != nil {
		return err
	}
	n.closeLater(n.host.Close)
	peers, err := host.ParsePeers(n.cfg.P2P.Bootstrap)
	if err != nil {
		return err
	}
	n.contacts = host.NewBootstrap(n.host, peers, n.log.With("room", "bootstrap"))
	if err := n.openDHT(ctx); err != nil {
		return err
	}
	return n.openExchange()
}

// limit adjusts libp2p's limits to what the rooms may take.
func (n *Node) limit(cfg *rcmgr.ScalingLimitConfig) {
	n.cfg.Exchange.room().Limits.Allow(cfg)
	if n.genesis != nil {
		allowLedger(cfg)
	}
}

// metadata returns where a room keeps what it can learn again. On a full disk that
// is in memory, as long as the daemon runs: without it, it would not start, and
// could not be told to make room.
func (n *Node) metadata(ctx context.Context, name string) ds.Batching {
	if err := n.store.CheckWritable(ctx); err != nil {
		n.log.Warn("what is learnt is not kept", "of", name, "err", err)
		return dssync.MutexWrap(ds.NewMapDatastore())
	}
	return n.store.Datastore(name)
}

func (n *Node) openDHT(ctx context.Context) error {
	cfg, err := n.cfg.DHT.room(n.cfg.P2P)
	if err != nil {
		return err
	}
	n.dht, err = dht.New(n.host, n.metadata(ctx, "dht"), cfg, dht.Options{Keys: keySource(n.store), Log: n.log.With("room", "dht")})
	if err != nil {
		return err
	}
	n.closeLater(n.dht.Close)
	n.announce = newAnnouncer(n.dht, n.store, n.log.With("room", "announce"))
	return nil
}

func (n *Node) openExchange() (err error) {
	n.exchange, err = exchange.New(n.host, exchangeStore{n.store}, n.dht, loadIndex, n.cfg.Exchange.room(),
		exchange.Options{Log: n.log.With("room", "exchange"), Observer: n.metrics})
	return err
}

// loadIndex is an exchange.Loader over the snapshot format.
func loadIndex(ctx context.Context, src exchange.Source, root block.ID) (exchange.Index, error) {
	r, err := snapshot.LoadRoot(ctx, src, root)
	if err != nil {
		return nil, err
	}
	return snapshot.LoadIndex(ctx, src, r)
}

func (n *Node) openAPI(ctx context.Context) error {
	token, err := repo.ReadToken(string(n.repo))
	if err != nil {
		return err
	}
	cfg := server.Default()
	cfg.Token = token
	chain := ledgerapi.None()
	if n.ledger != nil {
		chain = ledgerapi.Group(n.ledger, n.genesis)
	}
	n.status = &nodeBackend{Node: n, started: time.Now()}
	stock := local.New(n.store, string(n.repo), local.Options{Lacks: n.healer.damaged, Removed: n.announce.removed})
	n.collect = newCollector(stock, n.store, n.cfg.GC, n.cfg.Storage.Quota, n.log.With("room", "gc"))
	n.api, err = server.New(cfg, server.Backend{
		Node: n.status,
		Groups: []server.Group{
			swarmapi.Group(swarmapi.Backend{
				Swarm:     swarmBackend{n.host, n.cfg.P2P.ConnManager},
				Bootstrap: &bootstrapBackend{contacts: n.contacts, file: n.repo.Config(), addrs: n.cfg.P2P.Bootstrap},
				Routing:   routingBackend{n},
			}),
			storeapi.Group(stock),
			contentapi.Group(contentapi.Backend{Snapshots: snapshotsBackend{stock, n}, Blocks: blocksBackend{n}}),
			chain,
		},
		Metrics: n.metrics.handler(),
	}, n.log.With("room", "api"))
	if err != nil {
		return err
	}
	return n.listenAPI(ctx)
}

// listen lets peers in: everything that answers them is open.
func (n *Node) listen(context.Context) error { return n.host.Listen() }

// listenAPI listens on TCP and on the repository's unix socket, and leaves the
// address where local programs look for it.
func (n *Node) listenAPI(ctx context.Context) error {
	tcp, err := server.ListenTCP(ctx, n.cfg.APIGateway.Address)
	if err != nil {
		return err
	}
	n.addListener(tcp)
	unix, unixErr := server.ListenUnix(ctx, n.repo.Socket())
	if unixErr != nil { // a path may be too long for a socket; TCP does all of it
		n.log.Warn("the API has no unix socket", "err", unixErr)
	} else {
		n.addListener(unix)
	}
	n.apiURL = "http://" + tcp.Addr().String()
	remove, err := repo.WriteAPI(string(n.repo), n.apiURL)
	if unixErr == nil && errors.Is(err, syscall.ENOSPC) { // a socket takes no space, and is tried first
		n.log.Warn("the API's address is not written down", "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	n.closeLater(remove)
	return nil
}

// addListener has l closed with the node, unless serving has closed it before.
func (n *Node) addListener(l net.Listener) {
	n.listeners = append(n.listeners, l)
	n.closeLater(func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("closing the API's listener: %w", err)
		}
		return nil
	})
}

// fetchBlocks gets single blocks from the swarm, for the healer.
func (n *Node) fetchBlocks(ctx context.Context, ids []block.ID) error {
	return n.exchange.FetchBlocks(ctx, ids)
}

// keySource lists for the DHT what a strategy announces.
func keySource(store *blockstore.Store) dht.Keys {
	return func(ctx context.Context, s dht.Strategy) iter.Seq2[block.ID, error] {
		switch s {
		case dht.All:
			return store.IDs(ctx)
		case dht.Pinned:
			return pinnedBlocks(ctx, store)
		case dht.Roots:
			return pinnedRoots(ctx, store)
		case dht.None:
		}
		return func(func(block.ID, error) bool) {}
	}
}
