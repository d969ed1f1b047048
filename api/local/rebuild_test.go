package local_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/local"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
)

// withoutPins closes a store, takes its pins away, and opens it again.
func withoutPins(t *testing.T, store *blockstore.Store, dir string) *blockstore.Store {
	t.Helper()
	if err := errors.Join(store.Close(), os.Remove(filepath.Join(dir, "pins"))); err != nil {
		t.Fatal(err)
	}
	store, err := blockstore.Open(dir, blockstore.Default(), blockstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// TestRebuildPins: a whole snapshot is kept again as complete, and one that lacks a
// chunk as partial, so that neither stops a collection, and nothing of them goes.
func TestRebuildPins(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blocks")
	store, err := blockstore.Open(dir, blockstore.Default(), blockstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	whole := take(t, store, "content")
	from, torn, gone := lacking(t, aChunkOf, true)
	copyBlocks(t, from, store, torn)
	if err := store.Put(t.Context(), block.New(block.DagCBOR, []byte{0x61, 'a'}), block.New(block.Raw, []byte("garbage"))); err != nil {
		t.Fatal(err)
	}
	store = withoutPins(t, store, dir)
	s := local.New(store, "repo", local.Options{})
	if rep, err := s.Fsck(t.Context(), api.FsckRequest{}, nil); err != nil || rep.OK || len(rep.Findings) != 1 || rep.Repaired != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	if st, err := s.Stat(t.Context()); err != nil || st.Problem == "" {
		t.Errorf("%+v, %v", st, err)
	}
	rep, err := s.Fsck(t.Context(), api.FsckRequest{Repair: true}, nil)
	if err != nil || !rep.OK || rep.Repaired != 2 || len(rep.Findings) != 2 || len(rep.Interrupted) != 1 || rep.Interrupted[0].CID != torn {
		t.Errorf("%+v, %v", rep, err)
	}
	for root, partial := range map[block.ID]bool{whole: false, torn: true} {
		pin, err := store.Pin(t.Context(), root)
		if err != nil || pin.Partial != partial || pin.Name != "in the root" {
			t.Errorf("%+v, %v", pin, err)
		}
	}
	if st, err := s.Stat(t.Context()); err != nil || st.Problem != "" || st.Pins != 2 {
		t.Errorf("%+v, %v", st, err)
	}
	if res, err := s.GC(t.Context(), api.GCRequest{}, nil); err != nil || res.Removed != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	if missing, err := s.Missing(t.Context(), whole); err != nil || len(missing) > 0 {
		t.Errorf("%v, %v", missing, err)
	}
	if missing, err := s.Missing(t.Context(), torn); err != nil || len(missing) != 1 || missing[0] != gone {
		t.Errorf("%v, %v", missing, err)
	}
}

// aChunkOf picks a chunk of a snapshot.
func aChunkOf(s *blockstore.Store, root block.ID) (chunk block.ID) {
	for id, err := range s.IDs(context.Background()) {
		if err == nil && id != root && id.Codec() == block.Raw {
			chunk = id
		}
	}
	return chunk
}

// copyBlocks copies what is held of a snapshot.
func copyBlocks(t *testing.T, from, to *blockstore.Store, root block.ID) {
	t.Helper()
	err := snapshot.Refs(t.Context(), from, root, func(id block.ID) bool {
		b, err := from.Get(t.Context(), id, nil)
		if errors.Is(err, block.ErrNotFound) {
			return true
		}
		if err := errors.Join(err, to.Put(t.Context(), b)); err != nil {
			t.Error(err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}
