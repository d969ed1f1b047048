package kernel

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
	"github.com/decube/decube/node/host"
)

// userAgent is the program's name towards peers.
const userAgent = "decube-node"

// Options is what a node is opened with. The settings are valid ones.
type Options struct {
	Repo    repo.Dir // an initialised repository
	P2P     host.Config
	DHT     dht.Config
	Storage blockstore.Config
	API     string // host and port to listen on, see server.ListenTCP
	// Keys returns what of a store the DHT announces.
	Keys func(*blockstore.Store) dht.Keys
	// Parts are opened in this order. Their names differ.
	Parts []Part
	Log   *slog.Logger // nil: nothing is logged
	// Ready is called by Run once the node serves peers and the API, unless it has been told
	// to stop before; nil is allowed.
	Ready func()
}

// Node is a running peer. Its methods are safe for concurrent use.
type Node struct {
	repo    repo.Dir
	network string
	log     *slog.Logger
	version version.Info
	onReady func()

	metrics *metrics
	events  *Events
	store   *blockstore.Store
	local   *local.Store
	host    *host.Host
	dht     *dht.DHT
	seats   []*seat

	status    *status
	api       *server.Server
	listeners []net.Listener
	apiURL    string

	closers []func() error // in the order of opening
}

// Open takes the repository's lock and opens everything that a node consists of;
// peers can connect from then on. The errors to branch on are repo.ErrNoRepo,
// repo.ErrVersion, repo.ErrLocked, host.ErrAddressInUse and those of the parts.
// The caller calls Run or Close.
func Open(ctx context.Context, o Options) (*Node, error) {
	n := &Node{
		repo: o.Repo, network: o.P2P.Network, log: o.Log, version: version.Get(), onReady: o.Ready, events: new(Events),
	}
	n.metrics = newMetrics(n.events)
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.onReady == nil {
		n.onReady = func() {}
	}
	if err := n.open(ctx, &o); err != nil {
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

// Run serves until ctx is done or what is vital fails, and then stops the node as the
// package says, each step within a bound. Once patient is done, it waits for nothing that
// is not finished; what has been acknowledged is durable all the same. It returns nil when
// ctx ended it. After an error about a part that does not stop, what that may use is still
// open: the process should end.
func (n *Node) Run(ctx, patient context.Context) error {
	base := context.WithoutCancel(ctx)
	vital, stopVital := context.WithCancel(base)
	defer stopVital()
	g, vital := errgroup.WithContext(vital)
	for name, run := range map[string]func(context.Context) error{
		"block store": n.store.Run,
		"DHT":         n.dht.Run,
		"trimmer":     newTrimmer(n.metrics.moved.Load).run,
	} {
		g.Go(func() error {
			if err := run(vital); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	for _, s := range n.seats {
		s.start(base)
	}
	err := n.serve(ctx, patient, vital)
	n.log.Info("stopping")
	err = errors.Join(err, drain(patient, n.seats))
	stuck, stopErr := stop(n.seats)
	err = errors.Join(err, stopErr)
	if stuck {
		return err
	}
	stopVital()
	return errors.Join(err, g.Wait(), n.Close())
}

// serve answers the API until ctx or what is vital ends.
func (n *Node) serve(ctx, patient, vital context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(vital, cancel)()
	if ctx.Err() == nil { // it may have been told to stop while it opened
		n.status.ready.Store(true)
		n.onReady()
	}
	defer context.AfterFunc(ctx, func() { n.status.ready.Store(false) })()
	return n.api.Run(ctx, patient, n.listeners...)
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
	list := make([]string, 0, len(addrs))
	for _, a := range addrs {
		list = append(list, a.String())
	}
	return list
}

// APIURL returns the URL of the HTTP API.
func (n *Node) APIURL() string { return n.apiURL }

// Network returns the swarm's name.
func (n *Node) Network() string { return n.network }

// Warnings returns what an operator should look at, each in a sentence.
func (n *Node) Warnings(ctx context.Context) []string {
	w := local.Problems(ctx, n.store)
	for _, s := range n.seats {
		w = append(w, s.warnings(ctx)...)
	}
	return w
}
