package contentapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
)

func (b Backend) registerSnapshots(r *server.Router) {
	snaps := b.Snapshots
	server.Handle(r, server.Get("snapshot-list", "/snapshots", "Kept snapshots, the oldest first", "snapshots"),
		func(ctx context.Context, _ *server.Nothing) ([]api.Snapshot, error) {
			all := []api.Snapshot{}
			for snap, err := range snaps.List(ctx) {
				if err != nil {
					return nil, err
				}
				all = append(all, snap)
			}
			return all, nil
		})
	server.Handle(r, server.Get("snapshot-get", "/snapshots/{cid}", "Summary of a snapshot", "snapshots"),
		func(ctx context.Context, in *server.CIDParam) (api.Snapshot, error) { return snaps.Get(ctx, in.CID) })

	keep := server.Get("snapshot-keep", "/snapshots/{cid}", "Keep and announce a snapshot whose blocks are held", "snapshots")
	keep.Method = http.MethodPut
	server.Handle(r, keep, func(ctx context.Context, in *struct {
		server.CIDParam

		Body api.KeepRequest
	},
	) (api.Snapshot, error) {
		return snaps.Keep(ctx, in.CID, in.Body)
	})

	forget := server.Get("snapshot-forget", "/snapshots/{cid}", "Stop keeping a snapshot", "snapshots")
	forget.Method, forget.DefaultStatus = http.MethodDelete, http.StatusNoContent
	huma.Register(r.API(), forget, func(ctx context.Context, in *server.CIDParam) (*struct{}, error) {
		defer server.EndOnPanic()
		if err := snaps.Forget(ctx, in.CID); err != nil {
			return nil, server.Problem(err)
		}
		return nil, nil // huma's way of an answer without body
	})

	server.Stream(r, server.Post("snapshot-fetch", "/snapshots/{cid}/fetch", "Make the local copy of a snapshot complete", "snapshots"),
		func(ctx context.Context, in *struct {
			server.CIDParam

			Body api.FetchRequest
		}, progress func(api.FetchProgress),
		) (api.FetchResult, error) {
			return snaps.Fetch(ctx, in.CID, in.Body, progress)
		})
	server.Stream(r, server.Post("snapshot-verify", "/snapshots/{cid}/verify", "Check a snapshot", "snapshots"),
		func(ctx context.Context, in *struct {
			server.CIDParam

			Body api.VerifyRequest
		}, progress func(api.Progress),
		) (api.VerifyReport, error) {
			return snaps.Verify(ctx, in.CID, in.Body, progress)
		})
}
