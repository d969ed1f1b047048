package node

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/node/kerneltest"
	"github.com/decube/decube/snapshot"
)

// announcing starts a node that announces by a strategy.
func announcing(t *testing.T, s dht.Strategy, log *slog.Logger, peers ...*running) *running {
	t.Helper()
	dir, cfg := t.TempDir(), testConfig()
	cfg.DHT.Strategy = s
	if err := Init(dir, Setup{}); err != nil {
		t.Fatal(err)
	}
	return startWith(t, dir, cfg, log, peers...)
}

// apart has two nodes know nothing of each other any more.
func apart(ctx context.Context, t *testing.T, a, b *running) {
	t.Helper()
	if err := a.client.Disconnect(ctx, b.ID().String()); err != nil {
		t.Fatal(err)
	}
	kerneltest.Eventually(ctx, t, "they are not connected", func() bool {
		return len(a.kernel.Host.Network().ConnsToPeer(b.ID()))+len(b.kernel.Host.Network().ConnsToPeer(a.ID())) == 0
	})
}

// Whatever is announced, a snapshot is found, and records are as many as what is announced.
func TestSnapshotsAreFoundUnderEachStrategy(t *testing.T) {
	for _, s := range []dht.Strategy{dht.Roots, dht.Pinned, dht.All} {
		t.Run(string(s), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			bootstrap := announcing(t, s, discard)
			provider, newcomer := announcing(t, s, discard, bootstrap), announcing(t, s, discard, bootstrap)
			root := take(ctx, t, provider, tree(t))
			began := time.Now()
			res, err := newcomer.client.Fetch(ctx, root, api.FetchRequest{Pin: true}, func(api.FetchProgress) {})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d blocks came in %v", res.FetchedBlocks, time.Since(began).Round(time.Millisecond))
			keys, records := int64(1), 2 // each of both announces the root
			if s != dht.Roots {
				st, err := provider.client.Status(ctx)
				if err != nil {
					t.Fatal(err)
				}
				keys, records = st.Blocks, 2*int(st.Blocks)
			}
			for _, n := range []*running{provider, newcomer} {
				kerneltest.Eventually(ctx, t, "all is announced", func() bool { return provided(ctx, t, n) == keys })
			}
			held := bootstrap.kernel.DHT.Records
			kerneltest.Eventually(ctx, t, "all is held", func() bool { return held().Records == records })
		})
	}
}

// A block that is damaged is found again through the root of a snapshot that it is of, when no
// connected peer has it.
func TestDamagedBlockIsHealedThroughItsRoot(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bootstrap := start(t, discard)
	healthy := start(t, discard, bootstrap)
	log := make(messages, 1000)
	sick := start(t, slog.New(log), bootstrap)
	root := take(ctx, t, healthy, tree(t))
	if _, err := sick.client.Fetch(ctx, root, api.FetchRequest{Pin: true}, func(api.FetchProgress) {}); err != nil {
		t.Fatal(err)
	}
	kerneltest.Eventually(ctx, t, "it is announced", func() bool { return bootstrap.kernel.DHT.Records().Records >= 1 })
	victim := largest(ctx, t, sick, root)
	apart(ctx, t, sick, healthy)
	damage(t, sick, victim)
	if _, err := sick.kernel.Store.Get(ctx, victim.ID(), nil); err == nil {
		t.Fatal("the block is not damaged")
	}
	for healed := false; !healed; {
		select {
		case msg := <-log:
			if healed = msg == "a damaged block was fetched again"; msg == "a damaged block could not be fetched again" {
				t.Fatal(msg) // the next attempt finds it at who was asked for records meanwhile
			}
		case <-ctx.Done():
			t.Fatal("the block was not healed in time")
		}
	}
	if pin, err := sick.kernel.Store.Pin(ctx, root); err != nil || pin.Partial {
		t.Errorf("the pin is %+v, %v", pin, err)
	}
}

// Two peers each of which has a part of a snapshot are found by its root, and have all of it
// together.
func TestPartsOfASnapshotAreFound(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bootstrap := start(t, discard)
	source := start(t, discard)
	root := take(ctx, t, source, tree(t))
	var halves []*running
	for half := range 2 {
		n := start(t, discard, bootstrap)
		copyPart(ctx, t, source, n, root, func(i int) bool { return i%2 == half })
		halves = append(halves, n)
	}
	newcomer := start(t, discard, bootstrap)
	for i, n := range halves { // as a start does with what it finds
		n.stop()
		halves[i] = startIn(t, string(n.dir), discard, bootstrap)
	}
	res, err := newcomer.client.Fetch(ctx, root, api.FetchRequest{Pin: true}, func(api.FetchProgress) {})
	if err != nil || len(res.Providers) != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	// What is fetched is announced before all of it is there, and no more when it is not kept.
	if n := provided(ctx, t, newcomer); n != 1 {
		t.Errorf("%d keys are announced", n)
	}
	if err := newcomer.client.Forget(ctx, root); err != nil {
		t.Fatal(err)
	}
	if n := provided(ctx, t, newcomer); n != 0 {
		t.Errorf("%d keys are announced of what was forgotten", n)
	}
}

func provided(ctx context.Context, t *testing.T, n *running) int64 {
	t.Helper()
	st, err := n.client.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return st.Provided
}

// copyPart gives a node the manifest of a snapshot and some of its other blocks, as a fetch does
// that was interrupted.
func copyPart(ctx context.Context, t *testing.T, from, to *running, root block.ID, some func(int) bool) {
	t.Helper()
	r, err := snapshot.LoadRoot(ctx, from.kernel.Store, root)
	if err != nil {
		t.Fatal(err)
	}
	index, err := snapshot.LoadIndex(ctx, from.kernel.Store, r)
	if err != nil {
		t.Fatal(err)
	}
	ids := []block.ID{root}
	for _, page := range r.Index {
		ids = append(ids, page.Page.ID)
	}
	for i := range index.Len() {
		if id, _ := index.At(i); some(i) {
			ids = append(ids, id)
		}
	}
	w, err := to.kernel.Store.NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		b, err := from.kernel.Store.Get(ctx, id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(ctx, b, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := to.kernel.Store.SetPin(ctx, blockstore.Pin{Root: root, Partial: true}); err != nil {
		t.Fatal(fmt.Errorf("pin: %w", err))
	}
}
