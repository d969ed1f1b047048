package swarmapi_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server/servertest"
	"github.com/decube/decube/api/server/swarmapi"
	"github.com/decube/decube/block"
)

// routing knows five providers of everything.
type routing struct{}

func (routing) FindProviders(context.Context, block.ID) iter.Seq2[api.Provider, error] {
	return func(yield func(api.Provider, error) bool) {
		for i := range 5 {
			if !yield(api.Provider{ID: fmt.Sprint("peer", i)}, nil) {
				return
			}
		}
	}
}

func TestProvidersAreLimited(t *testing.T) {
	h := servertest.New(t, new(servertest.Node), servertest.Config(), swarmapi.Group(swarmapi.Backend{Routing: routing{}})).Handler()
	path := api.Prefix + "/routing/providers/" + block.New(block.Raw, nil).ID().String()
	for query, want := range map[string]int{"": 5, "?limit=0": 5, "?limit=2": 2} {
		body := servertest.Request(t, h, "GET", path+query, "", nil).Body.String()
		if got := strings.Count(body, "event: item"); got != want || !strings.Contains(body, fmt.Sprintf(`"found":%d`, want)) {
			t.Errorf("%q: %d providers\n%s", query, got, body)
		}
	}
}
