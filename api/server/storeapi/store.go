// Package storeapi is the API's operations on the block store as a whole. It declares what it
// needs for them.
package storeapi

import (
	"context"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
)

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

// Group returns the operations.
func Group(repo Repo) server.Group {
	return server.Group{Name: "repo", Register: func(r *server.Router) { register(r, repo) }}
}

func register(r *server.Router, repo Repo) {
	server.Handle(r, server.Get("repo-stat", "/repo", "State of the block store", "repo"),
		func(ctx context.Context, _ *server.Nothing) (api.RepoStat, error) { return repo.Stat(ctx) })
	server.Stream(r, server.Post("repo-fsck", "/repo/fsck", "Check the block store", "repo"),
		func(ctx context.Context, in *struct{ Body api.FsckRequest }, progress func(api.Progress)) (api.FsckReport, error) {
			return repo.Fsck(ctx, in.Body, progress)
		})
	server.Stream(r, server.Post("repo-gc", "/repo/gc", "Collect garbage", "repo"),
		func(ctx context.Context, in *struct{ Body api.GCRequest }, progress func(api.Progress)) (api.GCResult, error) {
			return repo.GC(ctx, in.Body, progress)
		})
}
