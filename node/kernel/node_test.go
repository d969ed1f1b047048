package kernel_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kerneltest.Clock) }

// part is a part whose functions a test replaces.
type part struct {
	name    string
	prepare func(*kernel.Kernel) error
	open    func(*kernel.Kernel) (kernel.Running, error)
}

func (p *part) Name() string { return p.name }

func (p *part) Prepare(k *kernel.Kernel) error {
	if p.prepare == nil {
		return nil
	}
	return p.prepare(k)
}

func (p *part) Open(_ context.Context, k *kernel.Kernel) (kernel.Running, error) {
	if p.open == nil {
		return kernel.Running{}, nil
	}
	return p.open(k)
}

// What does not open leaves nothing open.
func TestOpenFails(t *testing.T) {
	dir := kerneltest.NewRepo(t, nil)
	var closed []string
	closing := func(name string) *part {
		return &part{name: name, open: func(k *kernel.Kernel) (kernel.Running, error) {
			if want := string(dir) + "/" + name; k.Dir != want || k.Store == nil || k.Host == nil || k.DHT == nil {
				t.Errorf("%s sees %+v", name, k)
			}
			if len(k.Host.Network().ListenAddresses()) > 1 { // one is the relay client's own
				t.Errorf("peers reach %s: %v", name, k.Host.Network().ListenAddresses())
			}
			return kernel.Running{Close: func() error {
				closed = append(closed, name)
				if _, err := repo.Lock(string(dir)); !errors.Is(err, repo.ErrLocked) {
					t.Errorf("%s is closed without the lock: %v", name, err)
				}
				return nil
			}}, nil
		}}
	}
	failure := errors.New("it is broken")
	bad := &part{name: "bad", open: func(k *kernel.Kernel) (kernel.Running, error) {
		if err := k.Available(); !errors.Is(err, kernel.ErrUnavailable) || !strings.Contains(err.Error(), "bad: it is not open yet") {
			t.Errorf("before it is open: %v", err)
		}
		return kernel.Running{}, failure
	}}
	_, err := kernel.Open(t.Context(), kerneltest.Options(dir, closing("a"), closing("b"), bad, closing("c")))
	if !errors.Is(err, failure) || !strings.HasPrefix(err.Error(), "opening bad: ") {
		t.Errorf("%v", err)
	}
	if want := []string{"b", "a"}; !slices.Equal(closed, want) {
		t.Errorf("closed %q, want %q", closed, want)
	}
	unready := &part{name: "unready", prepare: func(k *kernel.Kernel) error {
		if k.Store != nil || k.Events == nil {
			t.Errorf("it is prepared with %+v", k)
		}
		return failure
	}}
	_, err = kernel.Open(t.Context(), kerneltest.Options(dir, closing("a"), unready))
	if !errors.Is(err, failure) || !strings.HasPrefix(err.Error(), "preparing unready: ") {
		t.Errorf("%v", err)
	}
	kerneltest.Start(t, kerneltest.Options(dir)) // nothing is in its way
	if entries, err := os.ReadDir(string(dir)); err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "a" }) {
		t.Errorf("a part without files has left a directory: %v, %v", entries, err)
	}
}

// gated is an operation that waits until its context is done, or a test lets it go on.
func gated(entered chan<- struct{}, release <-chan struct{}) []server.Group {
	return []server.Group{{Name: "gated", Register: func(r *server.Router) {
		r.HandleFunc("GET /wait", func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			select {
			case <-r.Context().Done():
				http.Error(w, context.Cause(r.Context()).Error(), http.StatusTeapot)
			case <-release:
			}
		})
	}}}
}

// get asks a node's API.
func get(t *testing.T, p *kerneltest.Peer, path string) (status int, body string) {
	t.Helper()
	token, err := repo.ReadToken(string(p.Repo))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.APIURL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text := new(strings.Builder)
	_ = res.Write(text) // what came is what is looked at
	return res.StatusCode, text.String()
}

// The node outlives a part; its operations say why they cannot be done.
func TestNodeOutlivesItsParts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	fail, entered := make(chan struct{}), make(chan struct{}, 10)
	broken := &part{name: "broken", open: func(*kernel.Kernel) (kernel.Running, error) {
		return kernel.Running{
			Run:    func(context.Context) error { <-fail; return errors.New("the disk is gone") },
			Status: func(st *api.Status) { st.Reachability = "broken" },
			Routes: gated(entered, nil),
		}, nil
	}}
	p := kerneltest.Start(t, kerneltest.Options(kerneltest.NewRepo(t, nil), broken))
	c, err := client.New(client.Options{Repo: string(p.Repo)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if st, err := c.Status(ctx); err != nil || st.Reachability != "broken" || len(st.Warnings) > 0 {
		t.Errorf("while it runs: %+v, %v", st, err)
	}
	answered := make(chan string, 1)
	go func() {
		_, body := get(t, p, "/wait")
		answered <- body
	}()
	<-entered
	close(fail)
	if got := <-answered; !strings.Contains(got, "418") || !strings.Contains(got, "the disk is gone") {
		t.Errorf("who was inside got %s", got)
	}
	kerneltest.Eventually(ctx, t, "its operations are refused", func() bool {
		status, body := get(t, p, "/wait")
		return status == 503 && strings.Contains(body, "broken: the disk is gone")
	})
	st, err := c.Status(ctx)
	if err != nil || st.Reachability != "" || len(st.Warnings) != 1 || !strings.Contains(st.Warnings[0], "broken: it has stopped") || !st.Ready {
		t.Errorf("afterwards: %+v, %v", st, err)
	}
	if _, err := c.RepoStat(ctx); err != nil {
		t.Errorf("what is not its own: %v", err)
	}
}

// Who is in a hurry waits neither for requests nor for parts that drain.
func TestHurry(t *testing.T) {
	entered, drains := make(chan struct{}, 1), make(chan struct{})
	slow := &part{name: "slow", open: func(*kernel.Kernel) (kernel.Running, error) {
		return kernel.Running{
			Routes: gated(entered, nil),
			Drain:  func(ctx context.Context) error { close(drains); <-ctx.Done(); return nil },
		}, nil
	}}
	p := kerneltest.Start(t, kerneltest.Options(kerneltest.NewRepo(t, nil), slow))
	var asking sync.WaitGroup
	asking.Go(func() { get(t, p, "/wait") })
	<-entered
	begin := time.Now()
	p.Hurry()
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	<-drains
	asking.Wait()
	if took := time.Since(begin); took > 9*time.Second { // less than either is given
		t.Errorf("it took %v", took)
	}
}

// greedy is a part whose protocol wants more than there is.
type greedy struct{ part }

func (*greedy) Limits(b *limits.Budget) error {
	row := b.Kad("/greedy")
	row.Name, row.Memory = "greedy", b.Free()+1
	return b.Add(row)
}

func TestPartsFitTheMachine(t *testing.T) {
	dir := kerneltest.NewRepo(t, nil)
	_, err := kernel.Open(t.Context(), kerneltest.Options(dir, &greedy{part{name: "greedy"}}))
	if !errors.Is(err, limits.ErrOverdrawn) || !strings.HasPrefix(err.Error(), "making room for greedy: ") || !strings.Contains(err.Error(), "kad") {
		t.Errorf("%v", err)
	}
	kerneltest.Start(t, kerneltest.Options(dir))
}

// Who is told to stop while the node opens is not told that it is ready.
func TestStoppedWhileItOpens(t *testing.T) {
	o := kerneltest.Options(kerneltest.NewRepo(t, nil))
	o.Ready = func() { t.Error("it is ready after it was told to stop") }
	n, err := kernel.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Run(ctx, t.Context()); err != nil {
		t.Error(err)
	}
}
