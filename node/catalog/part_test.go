package catalog

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kerneltest.Clock) }

func TestConform(t *testing.T) {
	dir := kerneltest.NewRepo(t, nil)
	kerneltest.Conform(t, func() kernel.Options { return kerneltest.Options(dir, New("test", dir)) })
}

// node is one with the part.
type node struct {
	*kerneltest.Peer

	part *Part
}

func start(tb testing.TB, dir repo.Dir, swarm string) *node {
	tb.Helper()
	part := New(swarm, dir)
	return &node{kerneltest.Start(tb, kerneltest.Options(dir, part)), part}
}

// connect connects a node to others.
func (n *node) connect(ctx context.Context, tb testing.TB, others ...*node) {
	tb.Helper()
	for _, o := range others {
		if err := n.Kernel.Host.Connect(ctx, peer.AddrInfo{ID: o.ID(), Addrs: o.Kernel.Host.Addrs()}); err != nil {
			tb.Fatal(err)
		}
	}
}

func (n *node) put(ctx context.Context, tb testing.TB, path, value string) {
	tb.Helper()
	_, err := n.part.running.catalog.Write(ctx, []bundle.Operation{{Kind: bundle.Set, Document: path, Field: "text", Value: bundle.TextValue(value)}})
	if err != nil {
		tb.Fatal(err)
	}
}

// shows reports whether a node has a document with a text.
func (n *node) shows(ctx context.Context, path, value string) bool {
	got, err := n.part.running.catalog.Documents(ctx, path)
	return err == nil && len(got) == 1 && got[0].Fields[0].Values[0].Text() == value
}

// What one writes is gossiped to those that it is not connected to, is asked for by who comes
// later, and stays apart from other swarms.
func TestWhatOneWritesReachesAll(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	a, b, c := start(t, kerneltest.NewRepo(t, nil), "test"), start(t, kerneltest.NewRepo(t, nil), "test"), start(t, kerneltest.NewRepo(t, nil), "test")
	stranger := start(t, kerneltest.NewRepo(t, nil), "other")
	a.connect(ctx, t, b, stranger)
	c.connect(ctx, t, b)
	for i := range 20 {
		a.put(ctx, t, fmt.Sprint("notes/", i), fmt.Sprint("text ", i))
	}
	for _, n := range []*node{b, c} {
		kerneltest.Eventually(ctx, t, "all are there", func() bool {
			for i := range 20 {
				if !n.shows(ctx, fmt.Sprint("notes/", i), fmt.Sprint("text ", i)) {
					return false
				}
			}
			return true
		})
	}
	// Who gossips is a stranger all the same.
	for _, n := range []*node{a, c} {
		if class := b.Kernel.Host.Class(n.ID()); class != admission.Stranger {
			t.Errorf("a peer of the mesh is %v", class)
		}
	}
	late := start(t, kerneltest.NewRepo(t, nil), "test")
	late.connect(ctx, t, c)
	kerneltest.Eventually(ctx, t, "who comes late has all", func() bool { return late.shows(ctx, "notes/19", "text 19") })
	if st, err := stranger.part.running.catalog.Status(ctx); err != nil || st.Bundles != 0 {
		t.Errorf("another swarm has %d bundles, %v", st.Bundles, err)
	}
}

// Who is told to stop while it starts stops.
func TestStoppingWhileItStarts(t *testing.T) {
	n := start(t, kerneltest.NewRepo(t, nil), "test")
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		g := newNetwork(n.Kernel.Host, n.part.running.log)
		g.topic = "test"
		cancel()
		if err := g.run(ctx, n.part.running.catalog); err != nil {
			t.Fatal(err)
		}
	}
}

// Who is in another swarm for a while has what was written when it comes back.
func TestSwarmsAreApart(t *testing.T) {
	dir := kerneltest.NewRepo(t, nil)
	for _, swarm := range []string{"one", "two", "one"} {
		n := start(t, dir, swarm)
		there := n.shows(t.Context(), "notes/a", swarm)
		other := n.shows(t.Context(), "notes/a", "two") && swarm != "two"
		st, err := n.part.running.catalog.Status(t.Context())
		if err != nil || other || there != (st.Documents == 1) {
			t.Errorf("%s: %+v, %v", swarm, st, err)
		}
		if !there {
			n.put(t.Context(), t, "notes/a", swarm)
		}
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// A store that is damaged costs the catalog, not the node.
func TestDamagedStore(t *testing.T) {
	dir := kerneltest.NewRepo(t, nil)
	n := start(t, dir, "test")
	n.put(t.Context(), t, "notes/a", strings.Repeat("x", 10<<10))
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	damaged := 0
	err := filepath.WalkDir(filepath.Join(string(dir), "catalog"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".vlog") && !strings.HasSuffix(path, ".sst") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := 40; i < len(data); i++ {
			data[i] ^= 0x5a
		}
		damaged++
		return os.WriteFile(path, data, 0o600)
	})
	if err != nil || damaged == 0 {
		t.Fatalf("%d files are damaged, %v", damaged, err)
	}
	again := kerneltest.Start(t, kerneltest.Options(dir, New("test", dir)))
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	kerneltest.Eventually(ctx, t, "it is warned of", func() bool {
		for _, w := range again.Warnings(ctx) {
			if strings.Contains(w, "catalog") && strings.Contains(w, "damaged") {
				return true
			}
		}
		return false
	})
	_ = again.Stop() // that the part has failed is what it says
}
