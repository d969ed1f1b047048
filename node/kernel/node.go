package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/api/local"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/version"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/protocols/exchange"
)

// userAgent is the program's name towards peers.
const userAgent = "decube-node"

// Options is what a node is opened with.
type Options struct {
	Repo   string // directory of an initialised repository
	Config Config
	Log    *slog.Logger // nil: nothing is logged
	// Ready is called by Run once the node serves peers and the API; nil is allowed.
	Ready func()
}

// Node is a running peer. Its methods are safe for concurrent use.
type Node struct {
	cfg     Config
	repo    repo.Dir
	log     *slog.Logger
	version version.Info
	onReady func()

	store    *blockstore.Store
	host     *host.Host
	dht      *dht.DHT
	exchange *exchange.Exchange
	contacts *host.Bootstrap

	genesis *genesis.Genesis // nil for a peer that is part of no ledger
	ledger  *ledgerRoom      // nil without a genesis

	metrics  *metrics
	reach    reachabilityWatch
	healer   *healer
	announce *announcer
	fetches  fetches
	collect  *collector
	status   *nodeBackend

	api       *server.Server
	listeners []net.Listener
	apiURL    string

	closers []func() error // in the order of opening
}

// Open takes the repository's lock and opens everything that a node consists of;
// peers can connect from then on. The errors to branch on are repo.ErrNoRepo,
// repo.ErrVersion, repo.ErrLocked, config.ErrInvalid, genesis.ErrInvalid,
// ledger.ErrGenesis and host.ErrAddressInUse.
// The caller calls Run or Close.
func Open(ctx context.Context, o Options) (*Node, error) {
	n := &Node{
		cfg:     o.Config,
		repo:    repo.Dir(o.Repo),
		log:     o.Log,
		version: version.Get(),
		onReady: o.Ready,
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.onReady == nil {
		n.onReady = func() {}
	}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Close closes what Open opened, the last first. It is for whoever does not call
// Run, which closes the node itself.
func (n *Node) Close() error {
	var errs []error
	for _, closer := range slices.Backward(n.closers) {
		errs = append(errs, closer())
	}
	n.closers = nil
	return errors.Join(errs...)
}

// Run serves until ctx is done or a room fails, and then closes the node: first
// the API lets its requests finish within a bound, while everything behind it
// still works, then the rooms stop, then the store is closed. It returns nil when
// ctx ended it.
func (n *Node) Run(ctx context.Context) error {
	rooms, stopRooms := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRooms()
	g, rooms := errgroup.WithContext(rooms)
	for name, run := range n.rooms() {
		g.Go(func() error {
			if err := run(rooms); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	g.Go(func() error {
		defer stopRooms()
		return n.serve(ctx, rooms)
	})
	err := g.Wait()
	n.log.Info("stopping")
	return errors.Join(err, n.Close())
}

// rooms returns what runs as long as the node does, by name.
func (n *Node) rooms() map[string]func(context.Context) error {
	rooms := map[string]func(context.Context) error{
		"block store": n.store.Run,
		"DHT":         n.dht.Run,
		"exchange":    n.exchange.Run,
		"bootstrap":   n.contacts.Run,
		"healer":      n.healer.run,
		"announcer":   n.announce.run,
		"collector":   n.collect.run,
		"trimmer":     newTrimmer(n.metrics.moved.Load).run,
		"reachability": func(ctx context.Context) error {
			return n.reach.run(ctx, n.host.EventBus())
		},
	}
	if n.ledger != nil {
		rooms["ledger"] = n.ledger.run
	}
	return rooms
}

// serve answers the API until ctx or a room ends.
func (n *Node) serve(ctx, rooms context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(rooms, cancel)()
	n.status.ready.Store(true)
	n.onReady()
	defer n.status.ready.Store(false)
	return n.api.Run(ctx, n.listeners...)
}

// ID returns the peer's ID.
func (n *Node) ID() peer.ID { return n.host.ID() }

// Addresses returns the multiaddrs at which the node can be dialled as far as is
// known, each with its peer ID.
func (n *Node) Addresses() []string {
	info := peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()}
	addrs, err := peer.AddrInfoToP2pAddrs(&info)
	if err != nil {
		return nil // only for an ID that is empty
	}
	return texts(addrs)
}

// APIURL returns the URL of the HTTP API.
func (n *Node) APIURL() string { return n.apiURL }

// Network returns the swarm's name.
func (n *Node) Network() string { return n.cfg.P2P.Network }

func (n *Node) reachability() string { return n.reach.String() }

// warnings returns what an operator should look at.
func (n *Node) warnings(ctx context.Context) []string {
	var w []string
	if len(n.cfg.P2P.Bootstrap) == 0 && len(n.host.Network().Peers()) == 0 {
		w = append(w, "no bootstrap peers are set and no peer is connected: others can be found only when they connect")
	}
	if count := n.healer.waiting(); count > 0 {
		w = append(w, fmt.Sprintf("%d damaged blocks are waiting to be fetched again from the swarm", count))
	}
	w = append(w, local.Problems(ctx, n.store)...)
	if n.ledger != nil {
		w = append(w, n.ledger.warnings(ctx)...)
	}
	return w
}
