package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
)

func (s *Server) registerRepo(a huma.API) {
	repo := s.backend.Repo
	handle(a, get("repo-stat", "/repo", "State of the block store", "repo"),
		func(ctx context.Context, _ *nothing) (api.RepoStat, error) { return repo.Stat(ctx) })
	stream(a, post("repo-fsck", "/repo/fsck", "Check the block store", "repo"),
		func(ctx context.Context, in *struct{ Body api.FsckRequest }, progress func(api.Progress)) (api.FsckReport, error) {
			return repo.Fsck(ctx, in.Body, progress)
		})
	stream(a, post("repo-gc", "/repo/gc", "Collect garbage", "repo"),
		func(ctx context.Context, in *struct{ Body api.GCRequest }, progress func(api.Progress)) (api.GCResult, error) {
			return repo.GC(ctx, in.Body, progress)
		})
}
