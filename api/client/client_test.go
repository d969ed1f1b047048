package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/repo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "the-token-of-the-test"

// newRepo makes what of a repo a client reads: the token.
func newRepo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(repo.Dir(dir).Token(), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// serve answers by h until the test ends.
func serve(t *testing.T, h http.HandlerFunc) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// dial returns a client of the daemon at url, or of the repo's where url is "".
func dial(t *testing.T, dir, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Repo: dir, URL: url, UserAgent: "tester/1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// says answers every request with a status and a text.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}
}

func TestRequestsCarryTokenAndAgent(t *testing.T) {
	var got *http.Request
	var body []byte
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		fmt.Fprint(w, `{"id":"12D3KooWPeer"}`)
	})
	out, err := dial(t, newRepo(t), url+"/").Connect(t.Context(), "/ip4/127.0.0.1/tcp/1/p2p/x")
	if err != nil || out.ID != "12D3KooWPeer" {
		t.Fatalf("%+v, %v", out, err)
	}
	if got.Method != "POST" || got.URL.Path != api.Prefix+"/swarm/connect" {
		t.Errorf("%s %s", got.Method, got.URL)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + token, "User-Agent": "tester/1", "Content-Type": "application/json",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if string(body) != `{"address":"/ip4/127.0.0.1/tcp/1/p2p/x"}` {
		t.Errorf("body %s", body)
	}
}

// What has no place in a path asks for no other operation.
func TestDisconnectFromNobody(t *testing.T) {
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s", r.Method, r.URL) })
	for _, peer := range []string{"", ".", ".."} {
		if err := dial(t, newRepo(t), url).Disconnect(t.Context(), peer); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("%q: %v", peer, err)
		}
	}
}

// The socket of a repo goes before the address beside it, an explicit URL before both.
func TestSocketComesFirst(t *testing.T) {
	dir := newRepo(t)
	tcp := serve(t, says(200, `{"id":"tcp"}`))
	if _, err := repo.WriteAPI(dir, tcp); err != nil {
		t.Fatal(err)
	}
	identity := func(url string) (id, where string) {
		t.Helper()
		c := dial(t, dir, url)
		got, err := c.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got.ID, c.Where()
	}
	if id, where := identity(""); id != "tcp" || where != tcp {
		t.Errorf("without a socket: %s at %s", id, where)
	}
	socket := repo.Dir(dir).Socket()
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: says(200, `{"id":"unix"}`)}}
	s.Start()
	defer s.Close()
	if id, where := identity(""); id != "unix" || where != socket {
		t.Errorf("with a socket: %s at %s", id, where)
	}
	if id, where := identity(tcp); id != "tcp" || where != tcp {
		t.Errorf("with a URL: %s at %s", id, where)
	}
}

func TestNew(t *testing.T) {
	exposed := newRepo(t)
	if err := os.Chmod(repo.Dir(exposed).Token(), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		opts client.Options
		want error
	}{
		"no daemon":     {client.Options{Repo: newRepo(t)}, api.ErrUnreachable},
		"no scheme":     {client.Options{Repo: newRepo(t), URL: "127.0.0.1:8080"}, api.ErrInvalid},
		"other scheme":  {client.Options{Repo: newRepo(t), URL: "https://127.0.0.1:8080"}, api.ErrInvalid},
		"no token":      {client.Options{Repo: t.TempDir(), URL: "http://127.0.0.1:1"}, fs.ErrNotExist},
		"exposed token": {client.Options{Repo: exposed, URL: "http://127.0.0.1:1"}, repo.ErrTokenExposed},
	} {
		if _, err := client.New(c.opts); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	notFound, err := json.Marshal(api.NewProblem(fmt.Errorf("%w: block x", api.ErrNotFound)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error
		text   string
	}{
		"a problem":         {says(404, string(notFound)), api.ErrNotFound, "not found: block x"},
		"another program":   {says(404, "<html>Not Found"), api.ErrUnreachable, "no DeCube daemon (404 Not Found)"},
		"JSON of another":   {says(500, `{"error":"x"}`), api.ErrUnreachable, "no DeCube daemon"},
		"not JSON":          {says(200, "<html>"), nil, "something else than it should"},
		"a cut answer":      {cut("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), api.ErrUnreachable, "reading the answer"},
		"no answer":         {cut(""), api.ErrUnreachable, "calling the daemon at http://"},
		"an endless answer": {endless, api.ErrTooLarge, "answers with more than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dial(t, newRepo(t), serve(t, c.answer)).Identity(t.Context())
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}

// cut writes raw to the connection and closes it.
func cut(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, raw)
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	spaces := []byte(strings.Repeat(" ", 1<<20))
	for {
		if _, err := w.Write(spaces); err != nil {
			return
		}
	}
}

// hang never answers.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestContext(t *testing.T) {
	c := dial(t, newRepo(t), serve(t, hang))
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Identity(late); !errors.Is(err, api.ErrTimeout) {
		t.Errorf("deadline: %v, want ErrTimeout", err)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := c.Identity(ended); !errors.Is(err, context.Canceled) || errors.Is(err, api.ErrUnreachable) {
		t.Errorf("cancelled: %v, want only Canceled", err)
	}
	if _, err := c.OpenSession(late, blocksession.Options{}); !errors.Is(err, api.ErrTimeout) {
		t.Errorf("OpenSession: %v, want ErrTimeout", err)
	}
}

func TestNothingListens(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	c := dial(t, newRepo(t), dead.URL)
	if _, err := c.Identity(t.Context()); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("Identity: %v, want ErrUnreachable", err)
	}
	if _, err := c.OpenSession(t.Context(), blocksession.Options{}); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("OpenSession: %v, want ErrUnreachable", err)
	}
}

// events answers with a stream of server-sent events.
func events(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, text)
	}
}

func TestStreams(t *testing.T) {
	const progress = "event: progress\ndata: {\"phase\":\"marking\",\"items\":1}\n\n: a comment\n\nevent:progress\ndata:{\"phase\":\"sweeping\",\ndata:\"items\":2}\n\n"
	for name, c := range map[string]struct {
		stream string
		want   error
		text   string
	}{
		"whole":         {progress + "event: result\ndata: {\"removed\":7}\n\n", nil, ""},
		"a problem":     {progress + "event: error\ndata: {\"code\":\"conflict\",\"detail\":\"busy\"}\n\n", api.ErrConflict, "busy"},
		"cut":           {progress, api.ErrUnreachable, "before it was done"},
		"cut in a line": {progress + "event: result\ndata: {\"rem", api.ErrUnreachable, "before it was done"},
		"rubbish":       {"event: progress\ndata: x\n\n", nil, "decoding a progress event"},
	} {
		t.Run(name, func(t *testing.T) {
			var phases []string
			res, err := dial(t, newRepo(t), serve(t, events(c.stream))).GC(t.Context(), api.GCRequest{}, func(p api.Progress) {
				phases = append(phases, fmt.Sprint(p.Phase, p.Items))
			})
			if c.text == "" {
				if err != nil || res.Removed != 7 || fmt.Sprint(phases) != "[marking1 sweeping2]" {
					t.Errorf("%+v, %v, %v", res, phases, err)
				}
				return
			}
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}

func TestOpenSession(t *testing.T) {
	const upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
	dir := newRepo(t)
	refused := dial(t, dir, serve(t, says(401, `{"code":"unauthorised","detail":"wrong token"}`)))
	if _, err := refused.OpenSession(t.Context(), blocksession.Options{}); !errors.Is(err, api.ErrUnauthorised) {
		t.Errorf("refused: %v", err)
	}
	other := dial(t, dir, serve(t, cut(upgraded+"decube-blocks/9\r\n\r\n")))
	if _, err := other.OpenSession(t.Context(), blocksession.Options{}); !errors.Is(err, api.ErrInvalid) || !strings.Contains(err.Error(), "decube-blocks/9") {
		t.Errorf("another version: %v", err)
	}

	var asked http.Header
	c := dial(t, dir, serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header
		cut(upgraded+api.SessionProtocol+"\r\n\r\n")(w, r)
	}))
	s, err := c.OpenSession(t.Context(), blocksession.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if asked.Get("Upgrade") != api.SessionProtocol || asked.Get("Authorization") != "Bearer "+token {
		t.Errorf("asked with %v", asked)
	}
	_, err = s.Get(t.Context(), block.New(block.Raw, nil).ID(), nil)
	if !errors.Is(err, blocksession.ErrClosed) {
		t.Errorf("Get from a daemon that left: %v, want ErrClosed", err)
	}
}

func TestLongRepoPath(t *testing.T) {
	dir := filepath.Join(newRepo(t), strings.Repeat("d", 120))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(repo.Dir(dir).Token(), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(repo.Dir(dir).Socket(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A file that is no socket: the path was short enough to try, and nobody is there.
	_, err := dial(t, dir, "").Identity(t.Context())
	if !errors.Is(err, api.ErrUnreachable) || strings.Contains(err.Error(), "invalid argument") {
		t.Errorf("Identity: %v, want ErrUnreachable", err)
	}
}
