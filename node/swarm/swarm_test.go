package swarm_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
	"github.com/decube/decube/node/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kerneltest.Clock) }

// options returns what a node of this part alone is opened with.
func options(t *testing.T, bootstrap ...string) func() kernel.Options {
	t.Helper()
	dir := kerneltest.NewRepo(t, nil)
	return func() kernel.Options {
		o := kerneltest.Options(dir)
		o.P2P.Bootstrap = bootstrap
		o.Parts = []kernel.Part{swarm.New(o.P2P, dir.Config())}
		return o
	}
}

func TestConform(t *testing.T) { kerneltest.Conform(t, options(t)) }

func TestBootstrapPeersAreConnectedTo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	first := kerneltest.Start(t, options(t)())
	if w := first.Warnings(ctx); len(w) != 1 || !strings.HasPrefix(w[0], "no bootstrap peers are set") {
		t.Errorf("warnings %q", w)
	}
	second := kerneltest.Start(t, options(t, first.Addresses()...)())
	c, err := client.New(client.Options{Repo: string(second.Repo)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kerneltest.Eventually(ctx, t, "they are connected", func() bool {
		peers, err := c.Peers(ctx)
		return err == nil && len(peers) == 1 && peers[0].ID == first.ID().String()
	})
	st, err := c.Status(ctx)
	if err != nil || st.Reachability == "" || len(st.Warnings) > 0 {
		t.Errorf("status %+v, %v", st, err)
	}
	res, err := c.Resources(ctx)
	if err != nil || len(res.Holders) != 1 || res.Holders[0].Network != "127.0.0.0/24" || res.Holders[0].Peers != 1 {
		t.Errorf("who holds most: %+v, %v", res.Holders, err)
	}
	if len(res.Shares) < 4 || res.Shares[0].Name != "kad" || res.Memory <= 0 || res.Conns <= res.PerAddr {
		t.Errorf("resources %+v", res)
	}
	if r := res.Records; r.Limit < 100_000 || r.Bytes <= 0 || r.BytesLimit < 100*int64(r.Limit) || r.Held > r.Limit {
		t.Errorf("provider records %+v", r)
	}
	kerneltest.Eventually(ctx, t, "what has passed is shown, of a bootstrap peer as of a member", func() bool {
		res, err := c.Resources(ctx)
		b := res.Bandwidth
		return err == nil && !b.Bounded && len(b.Classes) == 6 && b.Classes[2].Class == "members" && b.Classes[2].Bytes > 0 && b.Classes[0].Bytes >= b.Classes[2].Bytes
	})
	if list, err := c.Bootstrap(ctx); err != nil || !slices.Equal(list, first.Addresses()) {
		t.Errorf("the list is %q, %v", list, err)
	}
}

// asked returns a client of a node.
func asked(t *testing.T, p *kerneltest.Peer) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Repo: string(p.Repo)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Bans are in force at once, and after a restart.
func TestBansOutliveARestart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	first := kerneltest.Start(t, options(t)())
	o := options(t, first.Addresses()...)
	second := kerneltest.Start(t, o())
	c := asked(t, second)
	connected := func() bool {
		peers, err := c.Peers(ctx)
		return err == nil && len(peers) == 1
	}
	kerneltest.Eventually(ctx, t, "they are connected", connected)
	id := first.ID().String()
	added, err := c.Ban(ctx, []string{id, "192.0.2.7/24", id})
	if err != nil || len(added) != 2 || added[1].Target != "192.0.2.0/24" {
		t.Fatalf("banned %+v, %v", added, err)
	}
	if connected() {
		t.Error("who is banned is still here")
	}
	if again, err := c.Ban(ctx, []string{"192.0.2.0/24"}); err != nil || len(again) != 0 {
		t.Errorf("banned again: %+v, %v", again, err)
	}
	for _, bad := range []string{"", "nobody", "0.0.0.0/0", second.ID().String()} {
		if _, err := c.Ban(ctx, []string{"198.51.100.1", bad}); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}

	second = kerneltest.Start(t, o())
	c = asked(t, second)
	if bans, err := c.Bans(ctx); err != nil || len(bans) != 2 || bans[0] != added[0] || bans[1] != added[1] {
		t.Errorf("after a restart: %+v, %v, want %+v", bans, err, added)
	}
	if _, err := c.Connect(ctx, first.Addresses()[0]); err == nil || connected() {
		t.Errorf("who is banned was dialled: %v", err)
	}
	if _, err := c.Unban(ctx, []string{id, "203.0.113.1"}); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("unbanning who is not banned: %v", err)
	}
	if removed, err := c.Unban(ctx, []string{id}); err != nil || len(removed) != 1 {
		t.Errorf("unbanned %+v, %v", removed, err)
	}
	if _, err := c.Connect(ctx, first.Addresses()[0]); err != nil {
		t.Errorf("after the ban: %v", err)
	}
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(string(second.Repo), "swarm", "bans.json")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	for _, text := range []string{"{", `[{"target":"everybody"}]`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := kernel.Open(ctx, o()); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("with a list that says %s: %v", text, err)
		}
	}
}

// Where something is bounded, bytes are counted by direction and class, for metrics too.
func TestBandwidthIsShown(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	first := kerneltest.Start(t, options(t)())
	o := options(t, first.Addresses()...)()
	o.P2P.Bandwidth = host.Bandwidth{Upload: 4 << 20, UploadStrangers: 1 << 20}
	second := kerneltest.Start(t, o)
	c := asked(t, second)
	kerneltest.Eventually(ctx, t, "a protected peer has sent something", func() bool {
		res, err := c.Resources(ctx)
		return err == nil && len(res.Bandwidth.Classes) == 6 && res.Bandwidth.Classes[5].Bytes > 0
	})
	res, err := c.Resources(ctx)
	if err != nil || !res.Bandwidth.Bounded {
		t.Fatalf("%+v, %v", res.Bandwidth, err)
	}
	for i, want := range []api.ClassBandwidth{
		{Direction: "upload", Class: "all", Limit: 4 << 20},
		{Direction: "upload", Class: "strangers", Limit: 1 << 20},
		{Direction: "upload", Class: "members"},
		{Direction: "download", Class: "all"},
		{Direction: "download", Class: "strangers"},
		{Direction: "download", Class: "members"},
	} {
		got := res.Bandwidth.Classes[i]
		if got.Direction != want.Direction || got.Class != want.Class || got.Limit != want.Limit || got.Bytes == 0 {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	token, err := repo.ReadToken(string(second.Repo))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, second.APIURL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Close = true
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`decube_bandwidth_bytes_total{class="members",direction="download"}`, `decube_bandwidth_bytes_total{class="strangers",direction="upload"}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s among the metrics", want)
		}
	}
}
