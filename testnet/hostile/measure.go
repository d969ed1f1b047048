package hostile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/testnet/cluster"
	"github.com/decube/decube/testnet/hostile/attack"
	"github.com/decube/decube/testnet/hostile/rig"
)

// patience is for how long anything is tried where no bar allows for more.
const patience = 20 * time.Second

// measure measures at one point. What cannot be done is part of the figures.
func (s *stage) measure(ctx context.Context, point int, w *watch) Figures {
	began := time.Now()
	f := Figures{Idle: w.reset()}
	f.Serve = s.fetch(ctx, s.taker, s.served[point])
	f.Fetch = s.fetch(ctx, s.victim, s.wanted[point])
	f.Protected = s.fetch(ctx, s.member, s.kept[point])
	f.Newcomer = s.newcomer(ctx, fmt.Sprintf("newcomer%d", point))
	if s.needs.Ledger {
		t := s.head(ctx)
		f.Head = &t
	}
	if s.needs.Committee {
		t := s.decide(ctx)
		f.Decide = &t
	}
	f.Took = time.Since(began)
	f.Peak = w.peak()
	return f
}

// fetch has a node fetch a snapshot by its CID alone.
func (s *stage) fetch(ctx context.Context, n *cluster.Node, root string) Rate {
	var res api.FetchResult
	err := n.JSON(ctx, &res, "snapshot", "fetch", root, "--quiet", "--timeout", patience.String())
	if err != nil {
		return Rate{Err: brief(err)}
	}
	return Rate{Rate: float64(res.FetchedBytes) / max(res.Seconds, 1e-3)}
}

// newcomer has a new peer connect to the victim and fetch from it, and returns how long
// that took from the moment on at which the peer was ready.
func (s *stage) newcomer(ctx context.Context, name string) Time {
	n, err := s.clusters[rig.Newcomer].Start(ctx, name, s.daemon(rig.Newcomer))
	if err != nil {
		return Time{Err: brief(err)}
	}
	defer func() { _ = n.Kill() }() // it has nothing to lose, and may have ended
	ctx, cancel := context.WithTimeout(ctx, max(patience, s.bars.Newcomer))
	defer cancel()
	began := time.Now()
	if err := connect(ctx, n, s.victim.Addrs()); err != nil {
		return Time{Took: time.Since(began), Err: "connecting: " + brief(err)}
	}
	for {
		r := s.fetch(ctx, n, s.little)
		if r.Err == "" {
			return Time{Took: time.Since(began)}
		}
		if !pause(ctx, time.Second) {
			return Time{Took: time.Since(began), Err: "fetching: " + r.Err}
		}
	}
}

// connect tries the addresses of IPv4 one after the other, as often as it takes and as
// a peer's own bound on its dials allows.
func connect(ctx context.Context, n *cluster.Node, addrs []string) (err error) {
	for ctx.Err() == nil {
		for _, addr := range addrs {
			if !strings.HasPrefix(addr, "/ip4/") {
				continue
			}
			if _, err = n.Run(ctx, "swarm", "connect", addr, "--timeout", "5s"); err == nil {
				return nil
			}
		}
		if !pause(ctx, 2*time.Second) {
			break
		}
	}
	return errors.Join(ctx.Err(), err)
}

// head has a stranger who means no harm ask how far the ledger is.
func (s *stage) head(ctx context.Context) Time {
	ctx, cancel := context.WithTimeout(ctx, max(patience, s.bars.Head))
	defer cancel()
	began := time.Now()
	info, err := infoOf(s.victim)
	if err != nil {
		return Time{Err: brief(err)}
	}
	if err := attack.AskHead(ctx, s.rig.Place(rig.Newcomer).Dial, info); err != nil {
		return Time{Took: time.Since(began), Err: brief(err)}
	}
	return Time{Took: time.Since(began)}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// brief returns the last words of an error, which say what became of it.
func brief(err error) string {
	const most = 160
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}

// watch looks at a victim now and then.
type watch struct {
	rig    *rig.Rig
	pid    int
	log    string // file
	client *http.Client
	url    string // of metrics
	token  string // for them, or nothing

	mu   sync.Mutex
	now  State
	most State
}

// often is the time between two looks.
const often = time.Second

func (s *stage) watch() (*watch, error) {
	p, err := s.victim.Process()
	if err != nil {
		return nil, err
	}
	token, err := repo.ReadToken(s.victim.Repo())
	if err != nil {
		return nil, err
	}
	return newWatch(s.rig, p.PID, s.victim.Log(), s.victim.API()+"/metrics", token), nil
}

// newWatch returns what looks at a process in the victim's place that tells its metrics at a
// URL, to whoever has a token if there is one.
func newWatch(r *rig.Rig, pid int, log, url, token string) *watch {
	place := r.Place(rig.Victim)
	return &watch{
		rig: r, pid: pid, log: log, url: url, token: token,
		client: &http.Client{
			Timeout: 5 * time.Second,
			Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				at, err := netip.ParseAddrPort(addr) // a name would be looked up on another thread
				if err != nil {
					return nil, err
				}
				return place.Dial(ctx, network, at.String())
			}},
		},
	}
}

// run looks until ctx ends.
func (w *watch) run(ctx context.Context) {
	for {
		w.look(ctx)
		if !pause(ctx, often) {
			return
		}
	}
}

func (w *watch) look(ctx context.Context) {
	var now State
	now.Resident, _, _ = bench.Resident(w.pid) // 0 when the daemon has ended
	now.Group, _ = w.rig.Memory()
	if entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.pid)); err == nil {
		now.Descriptors = int64(len(entries))
	}
	if info, err := os.Stat(w.log); err == nil {
		now.Log = info.Size()
	}
	now.Goroutines = w.goroutines(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.most = now, w.most.most(now)
}

// goroutines asks the daemon, which says nothing when it has no time for it.
func (w *watch) goroutines(ctx context.Context) int64 {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
	if err != nil {
		return 0
	}
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	res, err := w.client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			n, _ := strconv.ParseFloat(value, 64) // 0 when it is no number
			return int64(n)
		}
	}
	return 0
}

// reset returns what the victim takes now, and begins to look for the most anew.
func (w *watch) reset() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most = w.now
	return w.now
}

// peak returns the most since reset.
func (w *watch) peak() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.most
}
