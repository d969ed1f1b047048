package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/servertest"
)

// envPanic has TestPanicEndsTheProcess be the process that ends.
const envPanic = "DECUBE_TEST_PANIC"

// What an operation that panics leaves half done is known to nobody: the process ends, and
// tells where it was.
func TestPanicEndsTheProcess(t *testing.T) {
	if os.Getenv(envPanic) != "" {
		group := server.Group{Name: "broken", Register: func(r *server.Router) {
			server.Handle(r, server.Get("broken", "/broken", "", ""), func(context.Context, *server.Nothing) (api.Version, error) {
				panic("the table has a hole")
			})
		}}
		_, url, _ := servertest.Run(t, servertest.New(t, new(servertest.Node), servertest.Config(), group))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+api.Prefix+"/broken", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+servertest.Token)
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		return // the process has survived
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.timeout", "30s")
	// What it makes it cannot remove.
	cmd.Env = append(os.Environ(), envPanic+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), "the table has a hole") || !strings.Contains(string(out), "panic_test.go") {
		t.Errorf("%v: %s", err, out)
	}
}

// gone is the connection of a client that has gone away.
type gone struct{ http.ResponseWriter }

func (gone) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Where a client goes away while it is answered, huma panics: that is left to net/http, and
// ends nothing but the request.
func TestClientEndsNoProcess(t *testing.T) {
	s := servertest.New(t, new(servertest.Node), servertest.Config())
	defer func() {
		if p := recover(); p == nil {
			t.Error("huma panics no more: this test, and what EndOnPanic says of it, have no reason any more")
		}
	}()
	s.Handler().ServeHTTP(gone{httptest.NewRecorder()}, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/version", nil))
}
