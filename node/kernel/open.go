package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/decube/decube/api/local"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/storeapi"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node/host"
)

// open opens everything from the bottom up. What needs closing is put on the list of closers
// at once; parts close themselves before those.
func (n *Node) open(ctx context.Context, o *Options) error {
	for _, step := range []func(context.Context, *Options) error{n.openRepo, n.openHost, n.openDHT, n.openParts, n.listen, n.openAPI} {
		if err := step(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) closeLater(f func() error) { n.closers = append(n.closers, f) }

// prepare gives each part its seat, and has it prepare itself.
func (n *Node) prepare(o *Options) error {
	for _, p := range o.Parts {
		name := p.Name()
		s := newSeat(p, &Kernel{
			Log: n.log, Metrics: n.metrics.registry, Dir: filepath.Join(string(n.repo), name), Events: n.events,
		})
		n.seats = append(n.seats, s)
		if p, ok := p.(Preparer); ok {
			if err := p.Prepare(s.kernel); err != nil {
				return fmt.Errorf("preparing %s: %w", name, err)
			}
		}
	}
	return nil
}

// openRepo locks the repository, has the parts prepare themselves, and opens the store.
func (n *Node) openRepo(ctx context.Context, o *Options) error {
	opened, err := local.Open(ctx, string(n.repo), local.Opening{
		Storage: &o.Storage,
		Store:   blockstore.Options{Log: n.log.With("room", "blockstore"), Observer: n.metrics},
		Locked:  func() error { return n.prepare(o) },
		Options: local.Options{Lacks: n.events.damaged, Removed: n.events.removed},
	})
	if repo.IsReadOnly(err) {
		err = fmt.Errorf("%w; a daemon must write to its repository, decubectl alone can list, verify and restore what is in it", err)
	}
	if err != nil {
		return err
	}
	n.closeLater(opened.Close)
	if opened.NoSpace != nil {
		// What is held can be served all the same.
		n.log.Error("the block store is open for reading only until the daemon is started with more space", "err", opened.NoSpace)
	}
	n.store, n.local = opened.Blocks, opened.Store
	return nil
}

func (n *Node) openHost(ctx context.Context, o *Options) error {
	key, err := host.LoadIdentity(n.repo.Identity())
	if err != nil {
		return err
	}
	budget, err := n.budget(o)
	if err != nil {
		return err
	}
	p2p := o.P2P
	if p2p.ConnManager, err = p2p.ConnManager.Within(budget); err != nil {
		return err
	}
	n.host, err = host.New(p2p, host.Options{
		Identity:   key,
		UserAgent:  n.version.UserAgent(userAgent),
		Datastore:  n.metadata(ctx, "peers"),
		Budget:     budget,
		Registerer: n.metrics.registry,
		Log:        n.log.With("room", "host"),
	})
	if err != nil {
		return err
	}
	n.closeLater(n.host.Close)
	n.metrics.registry.MustRegister(newPassed(n.host))
	return nil
}

// budget divides what the process may use among what every peer speaks and the parts.
func (n *Node) budget(o *Options) (*limits.Budget, error) {
	b, err := limits.NewBudget(limits.ThisMachine())
	if err != nil {
		return nil, err
	}
	err = b.Add(
		b.Kad(string(dht.Protocol(o.P2P.Network))),
		b.Identify("identify", string(identify.ID), identify.ServiceName),
		b.Identify("identify push", string(identify.IDPush), identify.ServiceName),
	)
	if err != nil {
		return nil, err
	}
	for _, s := range slices.Backward(n.seats) {
		if p, ok := s.Part.(Limiter); ok {
			if err := p.Limits(b); err != nil {
				return nil, fmt.Errorf("making room for %s: %w", s.Name(), err)
			}
		}
	}
	return b, nil
}

// metadata returns where a room keeps what it can learn again. On a full disk that
// is in memory, as long as the daemon runs: without it, it would not start, and
// could not be told to make room.
func (n *Node) metadata(ctx context.Context, name string) ds.Batching {
	if err := n.store.CheckWritable(ctx); err != nil && ctx.Err() == nil { // else it is about to stop
		n.log.Warn("what is learnt is not kept", "of", name, "err", err)
		return dssync.MutexWrap(ds.NewMapDatastore())
	}
	return n.store.Datastore(name)
}

func (n *Node) openDHT(ctx context.Context, o *Options) (err error) {
	row := n.host.Budget.Kad(string(dht.Protocol(o.P2P.Network)))
	n.dht, err = dht.New(n.host, n.metadata(ctx, "dht"), o.DHT, dht.Options{
		RecordsFile: n.repo.Records(), Records: n.host.Budget.Records(),
		Room: func() error { return n.store.CheckWritable(context.WithoutCancel(ctx)) },
		Keys: o.Keys(n.store), Dialled: n.host.Dialled,
		Row: &row, Class: n.host.Class, Refused: n.host.Refused, Mistake: n.host.Mistake, Log: n.log.With("room", "dht"),
	})
	if err != nil {
		return err
	}
	n.closeLater(n.dht.Close)
	n.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: Namespace, Name: "dht_provider_records", Help: "Provider records held for the swarm.",
	}, func() float64 { return float64(n.dht.Records().Records) }))
	return nil
}

// openParts opens the parts down the list.
func (n *Node) openParts(ctx context.Context, _ *Options) error {
	for _, s := range n.seats {
		k := s.kernel
		k.Store, k.Local, k.Host, k.DHT = n.store, n.local, n.host, n.dht
		if err := s.open(ctx); err != nil {
			return err
		}
		n.closeLater(s.close)
	}
	return nil
}

// listen lets peers in.
func (n *Node) listen(context.Context, *Options) error { return n.host.Listen() }

// openAPI makes the API of the kernel's operations and the parts', and listens for it.
func (n *Node) openAPI(ctx context.Context, o *Options) error {
	token, err := repo.ReadToken(string(n.repo))
	if err != nil {
		return err
	}
	cfg := server.Default()
	cfg.Token = token
	if files := limits.ThisMachine().Files; files > 0 { // as many as libp2p has, and the store the rest
		cfg.MaxConns = min(cfg.MaxConns, max(1, files/8))
		cfg.MaxSessions = min(cfg.MaxSessions, max(1, files/16))
	}
	groups := []server.Group{storeapi.Group(n.local)}
	for _, s := range n.seats {
		groups = append(groups, s.running.Routes...)
	}
	n.status = &status{Node: n, started: time.Now()}
	n.api, err = server.New(cfg, server.Backend{Node: n.status, Groups: groups, Metrics: n.metrics.handler()}, n.log.With("room", "api"))
	if err != nil {
		return err
	}
	return n.listenAPI(ctx, o.API)
}

// listenAPI listens on TCP and on the repository's unix socket, and leaves the
// address where local programs look for it.
func (n *Node) listenAPI(ctx context.Context, address string) error {
	tcp, err := server.ListenTCP(ctx, address)
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
