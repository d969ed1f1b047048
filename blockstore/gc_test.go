package blockstore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/blockstore/storetest"
)

// TestCollectBesideOthers runs collections while writers store and pin small
// snapshots, others unpin them, and readers read what may be about to vanish.
// Nothing pinned may ever be missing, and no reader may see wrong bytes or be
// told of damage.
func TestCollectBesideOthers(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	// All draw from one pool, so that sessions touch what is garbage by now.
	var pool []block.Block
	for i := range 60 {
		pool = append(pool, storetest.Block(100+i*4000, 3))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	rounds := 15
	if testing.Short() {
		rounds = 5
	}
	var users, readers sync.WaitGroup
	for range 3 {
		users.Go(func() {
			for range rounds {
				useStore(t, s, pool)
			}
		})
	}
	var reads atomic.Int64
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				readRandom(t, s, pool)
				reads.Add(1)
			}
		})
	}
	var swept int64
	readers.Go(func() {
		for ctx.Err() == nil {
			swept += storetest.Collect(t, s, false).SweptBlocks
		}
	})
	users.Wait()
	stop()
	readers.Wait()
	t.Logf("%d reads, %d blocks swept", reads.Load(), swept)
	if swept == 0 {
		t.Error("nothing was ever collected")
	}
	report, err := s.Fsck(t.Context(), blockstore.FsckOptions{ReadData: true})
	if err != nil || !report.OK() {
		t.Errorf("%+v, %v", report, err)
	}
	if res := storetest.Collect(t, s, false); res.KeptBlocks != 0 {
		t.Errorf("garbage is left: %+v", res)
	}
}

// useStore makes a snapshot the way the snapshot room does, checks that it is
// whole while it is pinned, and forgets it.
func useStore(t *testing.T, s *blockstore.Store, pool []block.Block) {
	t.Helper()
	ctx := context.Background() // beyond the stop of the others
	root := storetest.Block(64, rand.Uint64())
	blocks := []block.Block{root}
	for range 10 {
		blocks = append(blocks, pool[rand.IntN(len(pool))])
	}
	w, err := s.NewWriter(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	held, err := w.Touch(ctx, storetest.IDs(blocks))
	for i, b := range blocks {
		if err == nil && !held[i] {
			err = w.Add(ctx, b, nil)
		}
	}
	if err == nil {
		_, err = w.Flush(ctx)
	}
	if err == nil {
		err = s.SetPin(ctx, storetest.PinOf(root, blocks...))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Error(err)
		return
	}
	for range 2 {
		for _, b := range blocks {
			if _, err := s.Get(ctx, b.ID(), nil); err != nil {
				t.Errorf("a pinned block: %v", err)
			}
		}
	}
	if err := s.RemovePin(ctx, root.ID()); err != nil {
		t.Error(err)
	}
}

func readRandom(t *testing.T, s *blockstore.Store, pool []block.Block) {
	t.Helper()
	b := pool[rand.IntN(len(pool))]
	if _, err := s.Get(context.Background(), b.ID(), nil); err != nil && !errors.Is(err, block.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	for name, get := range map[string]func(context.Context, block.ID, []byte) ([]byte, error){
		"GetUnverified": s.GetUnverified, "GetSummed": s.GetSummed,
	} {
		data, err := get(context.Background(), b.ID(), nil)
		if errors.Is(err, block.ErrNotFound) {
			continue
		}
		if err != nil || string(data) != string(b.Data()) {
			t.Errorf("%s: wrong bytes, or %v", name, err)
		}
	}
}
