package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/local"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/node/host"
)

// ErrUnavailable is returned for what a part does that is not open yet, or has stopped. It
// is an api.ErrUnavailable.
var ErrUnavailable = fmt.Errorf("%w: a part of the node is not running", api.ErrUnavailable)

// Part is a capability of the node. A node has one object of it, which New of its package
// made from its settings and from what it needs of parts before it.
type Part interface {
	// Name is short and one word: it begins messages about the part, and is the name of
	// its directory.
	Name() string
	// Open opens what the part consists of. No peer and no client reaches it before all
	// parts are open. If it fails it has closed all that it opened. It keeps of the
	// Kernel what it uses, not the Kernel itself.
	Open(ctx context.Context, k *Kernel) (Running, error)
}

// Preparer is a part that does something before the store is opened: Log, Dir and Events
// are there then, and nothing else is.
type Preparer interface {
	Prepare(k *Kernel) error
}

// Limiter is a part with protocols of its own, whose rows it adds to the budget. Parts are
// asked up the list, after Prepare: those at its beginning are content with what is left. An
// error, such as limits.ErrOverdrawn, fails the start.
type Limiter interface {
	Limits(b *limits.Budget) error
}

// Running is an open part. Each function may be nil: there is nothing to do then.
type Running struct {
	// Run works until ctx is done, waits for all that it has started, and returns nil.
	// If it returns an error before, the part has failed.
	Run func(ctx context.Context) error
	// Again says that a Run that has failed can be repeated: the part keeps nothing that
	// could have gone wrong. It is, after a second, and then after twice as long each
	// time, up to five minutes.
	Again bool
	// Drain ends what others began, while everything still works, until ctx is done. It
	// is called while Run works.
	Drain func(ctx context.Context) error
	// Close closes what Open has opened. It is called once, when Run has returned or if
	// it was never called.
	Close func() error
	// Routes are the part's operations of the API.
	Routes []server.Group
	// Status fills in what the status of the node says of the part. Like Warnings it
	// answers from memory, at once, and is not called once the part has stopped.
	Status func(*api.Status)
	// Warnings returns what an operator should look at, each in a sentence.
	Warnings func(ctx context.Context) []string
}

// Kernel is what a part sees of the node. Each part has its own, for its Log and Dir.
type Kernel struct {
	Log *slog.Logger
	// Metrics takes the part's metrics, whose names begin with "decube_".
	Metrics prometheus.Registerer
	// Dir is where the part's files are. Nobody else uses it, and nobody makes it: a
	// part without files leaves none.
	Dir    string
	Events *Events
	Store  *blockstore.Store
	// Local answers what the store can answer alone.
	Local *local.Store
	Host  *host.Host
	DHT   *dht.DHT
	// Available returns why the part does not run, an ErrUnavailable, or nil. What other
	// parts need of it asks this first.
	Available func() error
}

// errNotOpen is the reason for what is asked of a part before it is open.
var errNotOpen = errors.New("it is not open yet")

// errStopped is the reason for what is asked of a part that was stopped.
var errStopped = errors.New("it was stopped")

// unavailable returns the error for what is asked of a part that does not run.
func unavailable(name string, reason error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, name, reason)
}
