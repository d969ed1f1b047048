package storeapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server/servertest"
	"github.com/decube/decube/api/server/storeapi"
)

// busy is a store of which a collection is running.
type busy struct{ storeapi.Repo }

func (busy) GC(context.Context, api.GCRequest, func(api.Progress)) (api.GCResult, error) {
	return api.GCResult{}, fmt.Errorf("%w: a collection is running", api.ErrConflict)
}

func (busy) Fsck(_ context.Context, req api.FsckRequest, progress func(api.Progress)) (api.FsckReport, error) {
	progress(api.Progress{Phase: "reading", Items: 3})
	return api.FsckReport{OK: req.Repair, Blocks: 3}, nil
}

func TestStreams(t *testing.T) {
	h := servertest.New(t, new(servertest.Node), servertest.Config(), storeapi.Group(busy{})).Handler()
	for _, c := range []struct{ path, body, want string }{
		{"/repo/fsck", `{"repair":true}`, `"phase":"reading"`},
		{"/repo/fsck", `{"repair":true}`, `"ok":true`},
		{"/repo/gc", `{}`, `"code":"conflict"`},
	} {
		if got := servertest.Request(t, h, "POST", api.Prefix+c.path, c.body, nil).Body.String(); !strings.Contains(got, c.want) {
			t.Errorf("%s does not answer %s:\n%s", c.path, c.want, got)
		}
	}
}
