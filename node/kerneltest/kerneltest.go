// Package kerneltest runs nodes made of chosen parts, for tests, and says what every part
// must do.
package kerneltest

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/node/kernel"
)

// Patience is how long tests wait for what takes no time at all.
const Patience = 30 * time.Second

// Clock has goleak ignore a clock of libp2p's meters, which runs for the life of a process.
var Clock = goleak.IgnoreAnyFunction("github.com/libp2p/go-flow-metrics.(*sweeper).run")

// NewRepo makes a repository, with a new identity where key is nil, and returns its directory.
func NewRepo(tb testing.TB, key []byte) repo.Dir {
	tb.Helper()
	if key == nil {
		var err error
		if key, err = host.NewIdentity(); err != nil {
			tb.Fatal(err)
		}
	}
	dir := repo.Dir(tb.TempDir())
	if err := repo.Init(string(dir), repo.Seed{Identity: key}); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// Options returns what a node on loopback with free ports is opened with.
func Options(dir repo.Dir, parts ...kernel.Part) kernel.Options {
	o := kernel.Options{
		Repo: dir, P2P: host.Default(), DHT: dht.Default(), Storage: blockstore.Default(), API: "127.0.0.1:0",
		Keys: NoKeys, Parts: parts, Log: slog.New(slog.DiscardHandler),
	}
	o.P2P.Network, o.DHT.Network = "test", "test"
	o.P2P.Listen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	o.Storage.MinFree = 64 << 20
	o.Storage.PackSize = 8 << 20
	return o
}

// Peer is a node that runs until its test ends.
type Peer struct {
	*kernel.Node

	Repo repo.Dir
	// Kernel is as a part sees it that stands behind all others.
	Kernel *kernel.Kernel
	// Hurry has the node, when it stops, wait for nothing.
	Hurry func()
	// Stop stops the node, once, and returns what its Run did.
	Stop func() error
}

// Start opens and runs a node, and waits until it is ready. What its Run returns must be
// nil, unless the test stops it itself.
func Start(tb testing.TB, o kernel.Options) *Peer {
	tb.Helper()
	ready := make(chan struct{})
	o.Ready = func() { close(ready) }
	see := new(window)
	o.Parts = append(slices.Clip(o.Parts), see)
	n, err := kernel.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	patient, hurry := context.WithCancel(context.Background())
	tb.Cleanup(hurry)
	go func() { done <- n.Run(ctx, patient) }()
	p := &Peer{Node: n, Repo: o.Repo, Kernel: see.kernel, Hurry: hurry}
	stopped := false
	p.Stop = sync.OnceValue(func() error {
		stopped = true
		cancel()
		return <-done
	})
	tb.Cleanup(func() {
		if stopped {
			return
		}
		if err := p.Stop(); err != nil {
			tb.Errorf("running the node: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		stopped = true
		cancel()
		tb.Fatalf("the node did not start: %v", err)
	}
	return p
}

// window is a part that does nothing but look.
type window struct{ kernel *kernel.Kernel }

func (*window) Name() string { return "window" }

func (w *window) Open(_ context.Context, k *kernel.Kernel) (kernel.Running, error) {
	w.kernel = k
	return kernel.Running{}, nil
}

// NoKeys has the DHT announce nothing by itself.
func NoKeys(*blockstore.Store) dht.Keys {
	return func(context.Context, dht.Strategy) iter.Seq2[block.ID, error] {
		return func(func(block.ID, error) bool) {}
	}
}

// Eventually asks until it gets true, and fails the test when ctx is done before.
func Eventually(ctx context.Context, t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}
