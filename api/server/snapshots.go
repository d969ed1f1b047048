package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
)

func (s *Server) registerSnapshots(a huma.API) {
	snaps := s.backend.Snapshots
	handle(a, get("snapshot-list", "/snapshots", "Kept snapshots, the oldest first", "snapshots"),
		func(ctx context.Context, _ *nothing) ([]api.Snapshot, error) {
			all := []api.Snapshot{}
			for snap, err := range snaps.List(ctx) {
				if err != nil {
					return nil, err
				}
				all = append(all, snap)
			}
			return all, nil
		})
	handle(a, get("snapshot-get", "/snapshots/{cid}", "Summary of a snapshot", "snapshots"),
		func(ctx context.Context, in *CIDParam) (api.Snapshot, error) { return snaps.Get(ctx, in.CID) })

	keep := get("snapshot-keep", "/snapshots/{cid}", "Keep and announce a snapshot whose blocks are held", "snapshots")
	keep.Method = http.MethodPut
	handle(a, keep, func(ctx context.Context, in *struct {
		CIDParam

		Body api.KeepRequest
	},
	) (api.Snapshot, error) {
		return snaps.Keep(ctx, in.CID, in.Body)
	})

	forget := get("snapshot-forget", "/snapshots/{cid}", "Stop keeping a snapshot", "snapshots")
	forget.Method, forget.DefaultStatus = http.MethodDelete, http.StatusNoContent
	huma.Register(a, forget, func(ctx context.Context, in *CIDParam) (*struct{}, error) {
		if err := snaps.Forget(ctx, in.CID); err != nil {
			return nil, problem(err)
		}
		return nil, nil // huma's way of an answer without body
	})

	stream(a, post("snapshot-fetch", "/snapshots/{cid}/fetch", "Make the local copy of a snapshot complete", "snapshots"),
		func(ctx context.Context, in *struct {
			CIDParam

			Body api.FetchRequest
		}, progress func(api.FetchProgress),
		) (api.FetchResult, error) {
			return snaps.Fetch(ctx, in.CID, in.Body, progress)
		})
	stream(a, post("snapshot-verify", "/snapshots/{cid}/verify", "Check a snapshot", "snapshots"),
		func(ctx context.Context, in *struct {
			CIDParam

			Body api.VerifyRequest
		}, progress func(api.Progress),
		) (api.VerifyReport, error) {
			return snaps.Verify(ctx, in.CID, in.Body, progress)
		})
}
