package server_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/servertest"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/repo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newServer(t *testing.T, n *servertest.Node, cfg server.Config) *server.Server {
	t.Helper()
	return servertest.New(t, n, cfg, groups()...)
}

func TestGuard(t *testing.T) {
	h := newServer(t, new(servertest.Node), servertest.Config()).Handler()
	const id = api.Prefix + "/id"
	for _, tc := range []struct {
		name, path string
		header     map[string]string
		want       int
		code       api.Code
	}{
		{"token", id, nil, 200, ""},
		{"scheme in small letters", id, map[string]string{"Authorization": "bearer " + servertest.Token}, 200, ""},
		{"no token", id, map[string]string{"Authorization": ""}, 401, api.CodeUnauthorised},
		{"wrong token", id, map[string]string{"Authorization": "Bearer " + servertest.Token + "x"}, 401, api.CodeUnauthorised},
		{"other scheme", id, map[string]string{"Authorization": "Basic " + servertest.Token}, 401, api.CodeUnauthorised},
		{"no token for metrics", "/metrics", map[string]string{"Authorization": ""}, 401, api.CodeUnauthorised},
		{"no token for pprof", "/debug/pprof/", map[string]string{"Authorization": ""}, 401, api.CodeUnauthorised},
		{"no token for the OpenAPI document", "/openapi.json", map[string]string{"Authorization": ""}, 401, api.CodeUnauthorised},
		{"no token for an unknown path", "/secret", map[string]string{"Authorization": ""}, 401, api.CodeUnauthorised},
		{"livez is open", "/livez", map[string]string{"Authorization": ""}, 200, ""},
		{"readyz is open", "/readyz", map[string]string{"Authorization": ""}, 200, ""},
		{"version is open", "/version", map[string]string{"Authorization": ""}, 200, ""},
		{"metrics", "/metrics", nil, 200, ""},
		{"pprof", "/debug/pprof/", nil, 200, ""},
		{"localhost", id, map[string]string{"Host": "localhost:8080"}, 200, ""},
		{"IPv6 loopback", id, map[string]string{"Host": "[::1]:8080"}, 200, ""},
		{"rebound name", id, map[string]string{"Host": "evil.example:8080"}, 403, api.CodeForbidden},
		{"rebound name on an open path", "/version", map[string]string{"Host": "evil.example"}, 403, api.CodeForbidden},
		{"other origin", id, map[string]string{"Origin": "https://evil.example"}, 403, api.CodeForbidden},
		{"no origin", id, map[string]string{"Origin": "null"}, 403, api.CodeForbidden},
		{"same origin", id, map[string]string{"Origin": "http://127.0.0.1:8080"}, 200, ""},
		{"cross site", id, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, api.CodeForbidden},
		{"unknown path", "/nothing", nil, 404, api.CodeNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := servertest.Request(t, h, http.MethodGet, tc.path, "", tc.header)
			servertest.WantProblem(t, w, tc.want, tc.code)
		})
	}
}

// wantProblem checks a status and, for a code, the problem that comes with it.

func TestProblems(t *testing.T) {
	cfg := servertest.Config()
	cfg.MaxBody = 1000
	h := newServer(t, &servertest.Node{NotReady: errors.New("no listener yet")}, cfg).Handler()
	id := held.ID().String()
	for _, tc := range []struct {
		name, method, path, body string
		want                     int
		code                     api.Code
	}{
		{"not ready", "GET", "/readyz", "", 503, api.CodeUnavailable},
		{"backend says invalid", "POST", "/swarm/connect", `{"address":"x"}`, 400, api.CodeInvalid},
		{"backend says not found", "DELETE", "/swarm/peers/nobody", "", 404, api.CodeNotFound},
		{"success without body", "DELETE", "/swarm/peers/12D3KooWPeer", "", 204, ""},
		{"no CID", "GET", "/snapshots/rubbish", "", 422, api.CodeInvalid},
		{"unsupported CID", "GET", "/snapshots/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", "", 422, api.CodeInvalid},
		{"missing block", "GET", "/chunks/" + block.New(block.Raw, nil).ID().String(), "", 404, api.CodeNotFound},
		{"unknown query", "GET", "/chunks/" + id + "?nework=1", "", 422, api.CodeInvalid},
		{"no JSON", "POST", "/repo/fsck", "{", 400, api.CodeInvalid},
		{"unknown field", "POST", "/repo/fsck", `{"repiar":true}`, 422, api.CodeInvalid},
		{"wrong type", "POST", "/repo/fsck", `{"repair":"yes"}`, 422, api.CodeInvalid},
		{"out of range", "POST", "/snapshots/" + id + "/fetch", `{"stall_seconds":-1}`, 422, api.CodeInvalid},
		{"too large", "POST", "/bootstrap", `{"addresses":["` + strings.Repeat("a", 1000) + `"]}`, 413, api.CodeTooLarge},
		{"wrong method", "PATCH", "/id", "", 404, api.CodeNotFound},
		{"session without upgrade", "POST", "/blocks/session", "", 426, api.CodeInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := tc.path
			if path != "/readyz" {
				path = api.Prefix + path
			}
			servertest.WantProblem(t, servertest.Request(t, h, tc.method, path, tc.body, nil), tc.want, tc.code)
		})
	}
}

func TestBusy(t *testing.T) {
	cfg := servertest.Config()
	cfg.MaxRequests = 1
	f := &servertest.Node{Hang: make(chan struct{}), Entered: make(chan struct{})}
	h := newServer(t, f, cfg).Handler()
	first := make(chan int)
	go func() { first <- servertest.Request(t, h, "GET", api.Prefix+"/status", "", nil).Code }()
	<-f.Entered // now it holds the only slot

	w := servertest.Request(t, h, "GET", api.Prefix+"/id", "", nil)
	servertest.WantProblem(t, w, 503, api.CodeUnavailable)
	if w.Header().Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	if got := servertest.Request(t, h, "GET", "/livez", "", nil).Code; got != 200 {
		t.Errorf("livez while busy: %d", got)
	}

	close(f.Hang)
	if got := <-first; got != 200 {
		t.Errorf("first request: %d", got)
	}
	if got := servertest.Request(t, h, "GET", api.Prefix+"/id", "", nil).Code; got != 200 {
		t.Errorf("after it: %d", got)
	}
}

func TestOpenAPIDocument(t *testing.T) {
	h := newServer(t, new(servertest.Node), servertest.Config()).Handler()
	got := servertest.Request(t, h, "GET", "/openapi.yaml", "", nil).Body.Bytes()
	golden := filepath.Join("..", "..", "docs", "openapi.yaml")
	if os.Getenv("DECUBE_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("docs/openapi.yaml is not what the server serves: run make golden")
	}
	if !strings.Contains(string(got), "openapi: 3.1") {
		t.Error("not OpenAPI 3.1")
	}
}

func TestClient(t *testing.T) {
	dir, url, stop := servertest.Run(t, newServer(t, new(servertest.Node), servertest.Config()))
	for name, c := range map[string]*client.Client{"unix": servertest.Dial(t, dir, ""), "tcp": servertest.Dial(t, dir, url)} {
		t.Run(name, func(t *testing.T) { useClient(t, c) })
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	_, err := servertest.Dial(t, dir, url).Identity(t.Context())
	if !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("after the end: %v, want ErrUnreachable", err)
	}
	if _, err := client.New(client.Options{Repo: dir}); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("finding a daemon that left: %v, want ErrUnreachable", err)
	}
}

func useClient(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	if id, err := c.Identity(ctx); err != nil || id.ID != "12D3KooWFake" {
		t.Errorf("Identity: %+v, %v", id, err)
	}
	if _, err := c.Connect(ctx, "x"); !errors.Is(err, api.ErrInvalid) || !strings.Contains(err.Error(), "not a multiaddr") {
		t.Errorf("Connect: %v", err)
	}
	if err := c.Disconnect(ctx, "12D3KooWPeer"); err != nil {
		t.Errorf("Disconnect: %v", err)
	}
	var progress []api.Progress
	rep, err := c.Fsck(ctx, api.FsckRequest{Repair: true}, func(p api.Progress) { progress = append(progress, p) })
	if err != nil || !rep.OK || len(progress) != 1 || progress[0].Items != 3 || rep.Findings[0] != "repair true" {
		t.Errorf("Fsck: %+v, %v, progress %+v", rep, err, progress)
	}
	if _, err := c.GC(ctx, api.GCRequest{}, nil); !errors.Is(err, api.ErrConflict) {
		t.Errorf("GC: %v, want ErrConflict", err)
	}
	var found []string
	res, err := c.FindProviders(ctx, held.ID(), 3, func(p api.Provider) { found = append(found, p.ID) })
	if err != nil || res.Found != 3 || strings.Join(found, " ") != "peer0 peer1 peer2" {
		t.Errorf("FindProviders: %+v, %v, %v", res, found, err)
	}
	if _, err := c.Fetch(ctx, held.ID(), api.FetchRequest{StallSeconds: 1}, nil); !errors.Is(err, api.ErrTimeout) || !strings.Contains(err.Error(), "asked 3 peers") {
		t.Errorf("Fetch: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := c.Fetch(short, held.ID(), api.FetchRequest{}, nil); !errors.Is(err, api.ErrTimeout) {
		t.Errorf("Fetch with a deadline: %v, want ErrTimeout", err)
	}
	if snap, err := c.Keep(ctx, held.ID(), api.KeepRequest{Label: "x"}); err != nil || snap.Label != "x" {
		t.Errorf("Keep: %+v, %v", snap, err)
	}
	useSession(t, c)
}

func useSession(t *testing.T, c *client.Client) {
	t.Helper()
	s, err := c.OpenSession(t.Context(), blocksession.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if b, err := s.Get(t.Context(), held.ID(), nil); err != nil || string(b.Data()) != "a block" {
		t.Errorf("Get: %v", err)
	}
	if st, err := c.Status(t.Context()); err != nil || st.Sessions != 1 {
		t.Errorf("Status: %+v, %v, want one session", st, err)
	}
}

func TestStopCutsSessionsOff(t *testing.T) {
	dir, _, stop := servertest.Run(t, newServer(t, new(servertest.Node), servertest.Config()))
	s, err := servertest.Dial(t, dir, "").OpenSession(t.Context(), blocksession.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := s.Flush(t.Context()); !errors.Is(err, blocksession.ErrClosed) || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("Flush: %v", err)
	}
}

func TestTooManySessions(t *testing.T) {
	cfg := servertest.Config()
	cfg.MaxSessions = 1
	dir, url, stop := servertest.Run(t, newServer(t, new(servertest.Node), cfg))
	s, err := servertest.Dial(t, dir, "").OpenSession(t.Context(), blocksession.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := servertest.Dial(t, dir, url).OpenSession(t.Context(), blocksession.Options{}); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("second session: %v, want ErrUnavailable", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestWrongToken(t *testing.T) {
	dir, _, stop := servertest.Run(t, newServer(t, new(servertest.Node), servertest.Config()))
	if err := os.WriteFile(repo.Dir(dir).Token(), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := servertest.Dial(t, dir, "")
	if _, err := c.Identity(t.Context()); !errors.Is(err, api.ErrUnauthorised) {
		t.Errorf("Identity: %v, want ErrUnauthorised", err)
	}
	if _, err := c.OpenSession(t.Context(), blocksession.Options{}); !errors.Is(err, api.ErrUnauthorised) {
		t.Errorf("OpenSession: %v, want ErrUnauthorised", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestListenersRefuse(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.com:0", "127.0.0.1"} {
		if l, err := server.ListenTCP(t.Context(), addr); err == nil {
			l.Close()
			t.Errorf("%s was accepted", addr)
		}
	}
}

func TestSocket(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(long, "api.sock")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // left over
		t.Fatal(err)
	}
	l, err := server.ListenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}
