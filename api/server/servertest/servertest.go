// Package servertest serves the API, or a part of it, for tests.
package servertest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/internal/repo"
)

// Token is the token of every server for tests.
const Token = "the-token-of-the-test"

// Config returns the settings of a server for tests.
func Config() server.Config {
	cfg := server.Default()
	cfg.Token = Token
	cfg.DrainTimeout = 100 * time.Millisecond
	return cfg
}

// New returns a server of groups of operations.
func New(t *testing.T, n *Node, cfg server.Config, groups ...server.Group) *server.Server {
	t.Helper()
	s, err := server.New(cfg, server.Backend{
		Node: n, Groups: groups,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up 1") }),
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Node is a node that answers from constants. Its fields change what it does.
type Node struct {
	NotReady error         // the answer of Ready
	Hang     chan struct{} // Status waits for it, unless it is nil
	Entered  chan struct{} // Status closes it before it waits
}

// Identity implements server.Node.
func (f *Node) Identity(context.Context) (api.Identity, error) {
	return api.Identity{ID: "12D3KooWFake", Network: "test"}, nil
}

// Status implements server.Node.
func (f *Node) Status(ctx context.Context) (api.Status, error) {
	if f.Hang != nil {
		close(f.Entered)
		select {
		case <-f.Hang:
		case <-ctx.Done():
			return api.Status{}, ctx.Err()
		}
	}
	return api.Status{ID: "12D3KooWFake", Ready: true}, nil
}

// Ready implements server.Node.
func (f *Node) Ready() error { return f.NotReady }

// Version implements server.Node.
func (f *Node) Version() api.Version { return api.Version{Version: "test", API: "1"} }

// Request is one request to a handler, with the token unless header says otherwise.
func Request(t *testing.T, h http.Handler, method, path, body string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+Token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		if k == "Host" {
			r.Host = v
		}
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// WantProblem checks that an answer is a problem of a status and a code, or anything of the
// status where the code is empty.
func WantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code api.Code) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if code == "" {
		return
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q", ct)
	}
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if p.Code != code || p.Status != status || p.Title == "" || p.Detail == "" {
		t.Errorf("problem %+v", p)
	}
}

// Run serves on both kinds of listeners over a repo of its own, and returns the repo, the
// TCP URL, and what stops it and returns what Run did.
func Run(t *testing.T, s *server.Server) (dir, url string, stop func() error) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(repo.Dir(dir).Token(), []byte(Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	tcp, err := server.ListenTCP(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unix, err := server.ListenUnix(ctx, repo.Dir(dir).Socket())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, context.Background(), tcp, unix) }()
	stop = func() error {
		cancel()
		return <-done
	}
	return dir, "http://" + tcp.Addr().String(), stop
}

// Dial returns a client of what Run serves, on the socket where the URL is empty.
func Dial(t *testing.T, dir, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Repo: dir, URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
