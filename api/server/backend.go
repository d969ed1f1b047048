package server

import (
	"context"
	"net/http"

	"github.com/decube/decube/api"
)

// Backend is the node behind the API.
//
// An error of an operation is told to the client as the [api.Problem] of the sentinel it
// wraps: one of package api, or one of the block package, the block store or context.
// Everything else becomes an internal error.
type Backend struct {
	Node Node
	// Groups are the operations beside those on the node as a whole. All their methods are
	// called concurrently.
	Groups []Group
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
