package server

import (
	"context"
	"iter"
	"net/http"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/block"
)

// Backend is the node behind the API, part by part. Every part must be set
// except Metrics. All methods are called concurrently.
//
// An error is told to the client as the [api.Problem] of the sentinel it wraps:
// one of package api, or one of the block package, the block store or context.
// Everything else becomes an internal error.
type Backend struct {
	Node      Node
	Swarm     Swarm
	Bootstrap Bootstrap
	Routing   Routing
	Repo      Repo
	Snapshots Snapshots
	Blocks    Blocks
	// Metrics answers /metrics; nil leaves the path out.
	Metrics http.Handler
}

// Node tells about the node as a whole.
type Node interface {
	// Identity says who the node is and where it listens.
	Identity(ctx context.Context) (api.Identity, error)
	// Status returns the node's state. The server fills in Sessions.
	Status(ctx context.Context) (api.Status, error)
	// Ready returns why the node is not ready, or nil. It must not block.
	Ready() error
	// Version says what the daemon was built from.
	Version() api.Version
}

// Swarm sees and changes connections.
type Swarm interface {
	// Peers returns the connected peers in a stable order.
	Peers(ctx context.Context) ([]api.Peer, error)
	// Connect dials a multiaddr that ends in /p2p/ID. A bad multiaddr is
	// api.ErrInvalid, a peer that does not answer api.ErrTimeout or
	// api.ErrUnavailable.
	Connect(ctx context.Context, addr string) (api.Connected, error)
	// Disconnect closes all connections to a peer, given by ID or multiaddr.
	// It returns api.ErrNotFound when there are none.
	Disconnect(ctx context.Context, peer string) error
	// Addrs returns the addresses known of peers, connected or not.
	Addrs(ctx context.Context) ([]api.PeerAddresses, error)
	// Resources returns limits and what is used of them.
	Resources(ctx context.Context) (api.Resources, error)
}

// Bootstrap keeps the list of peers that are dialled at start. Changes are
// durable on return and acted upon at once.
type Bootstrap interface {
	List(ctx context.Context) ([]string, error)
	// Add returns the addresses that were not in the list before.
	Add(ctx context.Context, addrs []string) ([]string, error)
	// Remove returns the addresses that were removed. One that is not in the list
	// is api.ErrNotFound, and then nothing is removed.
	Remove(ctx context.Context, addrs []string) ([]string, error)
}

// Routing searches the DHT.
type Routing interface {
	// FindProviders yields providers as they are found, until the search has
	// ended or ctx is done.
	FindProviders(ctx context.Context, id block.ID) iter.Seq2[api.Provider, error]
}

// Repo looks after the block store as a whole. Package api/local implements it
// over a *blockstore.Store.
type Repo interface {
	Stat(ctx context.Context) (api.RepoStat, error)
	// Fsck checks the store; what it finds is in the report, not in the error.
	Fsck(ctx context.Context, req api.FsckRequest, progress func(api.Progress)) (api.FsckReport, error)
	// GC collects garbage; one collection runs at a time, a second is
	// api.ErrConflict.
	GC(ctx context.Context, req api.GCRequest, progress func(api.Progress)) (api.GCResult, error)
}

// Snapshots keeps and completes snapshots. Package api/local implements all but
// Fetch over a *blockstore.Store, and leaves announcing to its caller.
type Snapshots interface {
	// List yields the kept snapshots, the oldest first.
	List(ctx context.Context) iter.Seq2[api.Snapshot, error]
	// Get reads the summary of a snapshot whose root is held, kept or not, else
	// api.ErrNotFound.
	Get(ctx context.Context, root block.ID) (api.Snapshot, error)
	// Keep keeps a snapshot and announces it. A snapshot that lacks blocks is
	// api.ErrIncomplete. It is durable on return; repeating it changes label and
	// tags.
	Keep(ctx context.Context, root block.ID, req api.KeepRequest) (api.Snapshot, error)
	// Forget stops keeping a snapshot; its blocks stay until the next collection.
	// A snapshot that is not kept is api.ErrNotFound.
	Forget(ctx context.Context, root block.ID) error
	// Fetch makes the local copy complete, durably, and keeps it where asked.
	// progress is called a few times a second, not concurrently. Without progress
	// for the stall time it fails with api.ErrTimeout, and says what was tried.
	Fetch(ctx context.Context, root block.ID, req api.FetchRequest, progress func(api.FetchProgress)) (api.FetchResult, error)
	// Verify checks a snapshot; what it finds is in the report, not in the error.
	Verify(ctx context.Context, root block.ID, req api.VerifyRequest, progress func(api.Progress)) (api.VerifyReport, error)
}

// Blocks is the store behind block sessions and raw reads.
type Blocks interface {
	blocksession.Store
}
