package server_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/servertest"
)

// A gate keeps requests out of its group, and knows those that are in it.
func TestGate(t *testing.T) {
	type key struct{}
	closed, inside := false, 0
	gate := func(ctx context.Context) (context.Context, func(), error) {
		if closed {
			return nil, nil, fmt.Errorf("%w: the group is shut", api.ErrUnavailable)
		}
		inside++
		return context.WithValue(ctx, key{}, inside), func() { inside-- }, nil
	}
	answer := func(ctx context.Context, _ *server.Nothing) ([]int, error) {
		was, _ := ctx.Value(key{}).(int)
		return []int{was}, nil
	}
	group := server.Group{Name: "gated", Gate: gate, Register: func(r *server.Router) {
		server.Handle(r, server.Get("gated", "/gated", "", ""), answer)
		server.Stream(r, server.Get("gated-stream", "/gated/stream", "", ""), func(ctx context.Context, in *server.Nothing, _ func(int)) ([]int, error) {
			return answer(ctx, in)
		})
	}}
	open := server.Group{Name: "open", Register: func(r *server.Router) {
		server.Handle(r, server.Get("open", "/open", "", ""), answer)
	}}
	h := servertest.New(t, new(servertest.Node), servertest.Config(), group, open).Handler()
	for path, want := range map[string]string{
		"/gated": "[1]\n", "/gated/stream": "event: result\ndata: [1]\n\n", "/open": "[0]\n",
	} {
		if w := servertest.Request(t, h, "GET", api.Prefix+path, "", nil); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
	if inside != 0 {
		t.Errorf("%d requests are still inside", inside)
	}
	closed = true
	for path, want := range map[string]int{"/gated": 503, "/gated/stream": 503, "/open": 200} {
		code := api.CodeUnavailable
		if want == 200 {
			code = ""
		}
		servertest.WantProblem(t, servertest.Request(t, h, "GET", api.Prefix+path, "", nil), want, code)
	}
}
