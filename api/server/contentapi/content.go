// Package contentapi is the API's operations on snapshots and blocks. It declares what it
// needs for them.
package contentapi

import (
	"context"
	"iter"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/block"
)

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

// Backend is what the operations are done with.
type Backend struct {
	Snapshots Snapshots
	// Blocks is the store behind block sessions and raw reads.
	Blocks blocksession.Store
	// Session bounds each block session.
	Session blocksession.Limits
}

// Group returns the operations.
func Group(b Backend) server.Group {
	return server.Group{Name: "content", Register: func(r *server.Router) {
		b.registerSnapshots(r)
		b.registerBlocks(r)
	}}
}
