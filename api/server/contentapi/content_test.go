package contentapi_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/server/contentapi"
	"github.com/decube/decube/api/server/servertest"
	"github.com/decube/decube/block"
)

// held is the block that is there, and rotten one whose bytes are not its own any more.
var held, rotten = block.New(block.Raw, []byte("a block")), block.New(block.Raw, []byte("another"))

type store struct{ blocksession.Store }

func (store) GetUnverified(_ context.Context, id block.ID, network bool, buf []byte) ([]byte, error) {
	switch {
	case id == held.ID() && network:
		return append(buf, held.Data()...), nil
	case id == rotten.ID():
		return append(buf, held.Data()...), nil
	}
	return nil, fmt.Errorf("%w: block %s", api.ErrNotFound, id)
}

func TestChunksAreVerified(t *testing.T) {
	h := servertest.New(t, new(servertest.Node), servertest.Config(), contentapi.Group(contentapi.Backend{Blocks: store{}})).Handler()
	for _, c := range []struct {
		path   string
		status int
		code   api.Code
	}{
		{held.ID().String(), 404, api.CodeNotFound},
		{held.ID().String() + "?network=true", 200, ""},
		{rotten.ID().String(), 500, api.CodeCorrupt},
	} {
		w := servertest.Request(t, h, "GET", api.Prefix+"/chunks/"+c.path, "", nil)
		servertest.WantProblem(t, w, c.status, c.code)
		if c.status == 200 && w.Body.String() != "a block" {
			t.Errorf("%s is %q", c.path, w.Body)
		}
	}
}
