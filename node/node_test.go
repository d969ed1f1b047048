package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
	ledgerpart "github.com/decube/decube/node/ledger"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/testnet/compare"
)

const patience = 30 * time.Second

var discard = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kerneltest.Clock) }

// running is a node that runs until the test ends.
type running struct {
	*kernel.Node

	dir    repo.Dir
	kernel *kernel.Kernel // as a part sees it that stands behind all others
	client *client.Client
	ledger ledger.API // nil without a ledger
	stop   func()
}

// testConfig returns the settings of a node on loopback with free ports.
func testConfig() Config {
	cfg := Default()
	cfg.P2P.Network = "test"
	cfg.P2P.Listen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	cfg.APIGateway.Address = "127.0.0.1:0"
	cfg.Storage.MinFree = 64 << 20
	cfg.Storage.PackSize = 8 << 20
	return cfg
}

// start runs a node with a new repository, which joins the swarm through peers.
func start(t *testing.T, log *slog.Logger, peers ...*running) *running {
	t.Helper()
	dir := t.TempDir()
	if err := Init(dir, Setup{}); err != nil {
		t.Fatal(err)
	}
	return startIn(t, dir, log, peers...)
}

// startIn is start with a repository that is there.
func startIn(t *testing.T, dir string, log *slog.Logger, peers ...*running) *running {
	t.Helper()
	return startWith(t, dir, testConfig(), log, peers...)
}

// startWith is startIn with other settings.
func startWith(t *testing.T, dir string, cfg Config, log *slog.Logger, peers ...*running) *running {
	t.Helper()
	for _, p := range peers {
		cfg.P2P.Bootstrap = append(cfg.P2P.Bootstrap, p.Addresses()...)
	}
	o, err := options(Options{Repo: dir, Config: cfg, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	p := kerneltest.Start(t, o)
	r := &running{Node: p.Node, dir: p.Repo, kernel: p.Kernel, stop: func() {
		if err := p.Stop(); err != nil {
			t.Errorf("running the node: %v", err)
		}
	}}
	for _, part := range o.Parts {
		if l, ok := part.(*ledgerpart.Part); ok {
			r.ledger = l.API()
		}
	}
	if r.client, err = client.New(client.Options{Repo: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.Close)
	return r
}

// tree makes a directory with large and small files, and returns its path.
func tree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	random := rand.NewChaCha8([32]byte{1})
	for name, size := range map[string]int{"a/large": 3 << 20, "a/b/small": 1000, "a/empty": 0, "medium": 300 << 10} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := make([]byte, size)
		_, _ = random.Read(data) // it never fails
		if err := os.WriteFile(path, data, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// take makes a snapshot of dir on a node and keeps it there.
func take(ctx context.Context, t *testing.T, on *running, dir string) block.ID {
	t.Helper()
	w, err := on.kernel.Store.NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	res, err := create.Snapshot(ctx, w, create.Options{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := on.client.Keep(ctx, res.ID, api.KeepRequest{Label: "test"}); err != nil {
		t.Fatal(err)
	}
	return res.ID
}

func TestSnapshotTravelsToAPeerThatKnowsOnlyTheBootstrap(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bootstrap := start(t, discard)
	provider, newcomer := start(t, discard, bootstrap), start(t, discard, bootstrap)
	dir := tree(t)
	root := take(ctx, t, provider, dir)

	var last api.FetchProgress
	res, err := newcomer.client.Fetch(ctx, root, api.FetchRequest{Pin: true, Label: "mine"}, func(p api.FetchProgress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	if !res.Pinned || res.FetchedBlocks == 0 || last.Blocks != last.TotalBlocks || len(res.Providers) == 0 {
		t.Errorf("result %+v, last progress %+v", res, last)
	}
	target := filepath.Join(t.TempDir(), "restored")
	if _, err := restore.Snapshot(ctx, newcomer.kernel.Store, root, target, restore.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := compare.Trees(ctx, dir, target); err != nil {
		t.Error(err)
	}
	kept, err := newcomer.client.Snapshot(ctx, root)
	if err != nil || !kept.Pinned || kept.Complete == nil || !*kept.Complete || kept.Label != "mine" {
		t.Errorf("kept as %+v, %v", kept, err)
	}
}

func TestFetchWithoutKeepingLeavesNoPin(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	provider := start(t, discard)
	other := start(t, discard, provider)
	root := take(ctx, t, provider, tree(t))
	res, err := other.client.Fetch(ctx, root, api.FetchRequest{}, func(api.FetchProgress) {})
	if err != nil || res.Pinned {
		t.Fatalf("result %+v, %v", res, err)
	}
	if _, err := other.kernel.Store.Pin(ctx, root); !errors.Is(err, block.ErrNotFound) {
		t.Errorf("after the fetch: %v", err)
	}
}

func TestFetchOfWhatNobodyHasTimesOutAndSaysWhatWasTried(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a := start(t, discard)
	b := start(t, discard, a)
	nobodys := block.New(block.DagCBOR, []byte("nobody has this")).ID()
	_, err := b.client.Fetch(ctx, nobodys, api.FetchRequest{StallSeconds: 0.5}, func(api.FetchProgress) {})
	if !errors.Is(err, api.ErrTimeout) || !strings.Contains(err.Error(), nobodys.String()) {
		t.Errorf("got %v", err)
	}
}

// The patience of the settings ends a fetch that names none, and no other clock.
func TestFetchHasThePatienceOfTheSettings(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a := start(t, discard)
	dir := t.TempDir()
	if err := Init(dir, Setup{}); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.Exchange.Patience = 700 * time.Millisecond
	b := startWith(t, dir, cfg, discard, a)
	nobodys := block.New(block.DagCBOR, []byte("nobody has this")).ID()
	_, err := b.client.Fetch(ctx, nobodys, api.FetchRequest{}, func(api.FetchProgress) {})
	if !errors.Is(err, api.ErrTimeout) || !strings.Contains(err.Error(), "nothing came for 700ms") {
		t.Errorf("got %v", err)
	}
}

// messages is a log whose messages can be waited for.
type messages chan string

func (m messages) Enabled(context.Context, slog.Level) bool { return true }
func (m messages) WithAttrs([]slog.Attr) slog.Handler       { return m }
func (m messages) WithGroup(string) slog.Handler            { return m }

func (m messages) Handle(_ context.Context, r slog.Record) error {
	select {
	case m <- r.Message:
	default: // nobody reads that fast
	}
	return nil
}

func TestDamagedBlockIsHealedFromTheSwarm(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	healthy := start(t, discard)
	log := make(messages, 1000)
	sick := start(t, slog.New(log), healthy)
	root := take(ctx, t, healthy, tree(t))
	if _, err := sick.client.Fetch(ctx, root, api.FetchRequest{Pin: true}, func(api.FetchProgress) {}); err != nil {
		t.Fatal(err)
	}
	victim := largest(ctx, t, sick, root)
	damage(t, sick, victim)
	if _, err := sick.kernel.Store.Get(ctx, victim.ID(), nil); !errors.Is(err, blockstore.ErrCorrupt) {
		t.Fatalf("reading the damaged block: %v", err)
	}
	for healed := false; !healed; {
		select {
		case msg := <-log:
			healed = msg == "a damaged block was fetched again"
		case <-ctx.Done():
			t.Fatal("the block was not healed in time")
		}
	}
	got, err := sick.kernel.Store.Get(ctx, victim.ID(), nil)
	if err != nil || !bytes.Equal(got.Data(), victim.Data()) {
		t.Errorf("after healing: %v", err)
	}
}

// largest returns the largest block of a snapshot.
func largest(ctx context.Context, t *testing.T, on *running, root block.ID) block.Block {
	t.Helper()
	r, err := snapshot.LoadRoot(ctx, on.kernel.Store, root)
	if err != nil {
		t.Fatal(err)
	}
	index, err := snapshot.LoadIndex(ctx, on.kernel.Store, r)
	if err != nil {
		t.Fatal(err)
	}
	var id block.ID
	most := 0
	for i := range index.Len() {
		if at, size := index.At(i); size > most {
			id, most = at, size
		}
	}
	b, err := on.kernel.Store.Get(ctx, id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// damage flips a bit of a block's bytes on disk.
func damage(t *testing.T, on *running, victim block.Block) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(on.dir.Blocks(), "packs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range packs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(data, victim.Data())
		if at < 0 {
			continue
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte{data[at] ^ 1}, int64(at))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("the block is in no pack file")
}

func TestSecondNodeOnARepositoryIsRefused(t *testing.T) {
	n := start(t, discard)
	_, err := Open(t.Context(), Options{Repo: string(n.dir), Config: testConfig()})
	if !errors.Is(err, repo.ErrLocked) {
		t.Errorf("got %v", err)
	}
}

func TestOpenReleasesEverythingWhenItFails(t *testing.T) {
	first := start(t, discard)
	dir := t.TempDir()
	if err := Init(dir, Setup{}); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	taken, _, _ := strings.Cut(first.Addresses()[0], "/p2p/")
	cfg.P2P.Listen = []string{taken}
	if _, err := Open(t.Context(), Options{Repo: dir, Config: cfg}); !errors.Is(err, host.ErrAddressInUse) {
		t.Fatalf("got %v", err)
	}
	n, err := Open(t.Context(), Options{Repo: dir, Config: testConfig()})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

func TestStoppedNodeLeavesNoAddress(t *testing.T) {
	n := start(t, discard)
	if url, err := repo.ReadAPI(string(n.dir)); err != nil || url != n.APIURL() {
		t.Errorf("while it runs: %q, %v", url, err)
	}
	n.stop()
	if _, err := repo.ReadAPI(string(n.dir)); !errors.Is(err, repo.ErrNotRunning) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestCollectedBlocksAreNotAnnouncedAnyMore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cfg, repo := testConfig(), t.TempDir()
	cfg.DHT.Strategy = dht.All
	if err := Init(repo, Setup{}); err != nil {
		t.Fatal(err)
	}
	n := startWith(t, repo, cfg, discard)
	root := take(ctx, t, n, tree(t))
	stat, err := n.kernel.Store.Stat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	provided := func() int64 {
		st, err := n.client.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return st.Provided
	}
	kerneltest.Eventually(ctx, t, "all blocks are announced", func() bool { return provided() == stat.Blocks })
	other := filepath.Join(t.TempDir(), "other")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	take(ctx, t, n, other)
	if err := n.client.Forget(ctx, root); err != nil {
		t.Fatal(err)
	}
	if res, err := n.client.GC(ctx, api.GCRequest{}, func(api.Progress) {}); err != nil || res.Removed != stat.Blocks {
		t.Fatalf("collected %+v, %v", res, err)
	}
	stat, err = n.kernel.Store.Stat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	kerneltest.Eventually(ctx, t, "only what is left is announced", func() bool { return provided() == stat.Blocks })
}

func TestBootstrapPeersAreChangedInTheFileToo(t *testing.T) {
	ctx := t.Context()
	n := start(t, discard)
	b := n.client
	if added, err := b.AddBootstrap(ctx, []string{somebody, somebody}); err != nil || len(added) != 1 {
		t.Fatalf("added %q, %v", added, err)
	}
	if _, err := b.AddBootstrap(ctx, []string{"/ip4/1.2.3.4/tcp/1"}); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("an address without a peer: %v", err)
	}
	cfg, _, err := LoadConfig(string(n.dir), nil)
	if err != nil || len(cfg.P2P.Bootstrap) != 1 || cfg.P2P.Bootstrap[0] != somebody {
		t.Errorf("the file says %q, %v", cfg.P2P.Bootstrap, err)
	}
	if _, err := b.RemoveBootstrap(ctx, []string{somebody, "/ip4/1.2.3.4/tcp/1"}); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("removing what is not there: %v", err)
	}
	if _, err := b.RemoveBootstrap(ctx, []string{somebody}); err != nil {
		t.Error(err)
	}
	if left, err := b.Bootstrap(ctx); err != nil || len(left) != 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}
