package local_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/local"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
)

// page returns the first page of a snapshot's index.
func page(t *testing.T, store *blockstore.Store, root block.ID) block.ID {
	t.Helper()
	r, err := snapshot.LoadRoot(t.Context(), store, root)
	if err != nil {
		t.Fatal(err)
	}
	return r.Index[0].Page.ID
}

// lacking copies a snapshot into a new store, leaving out one of its blocks, and
// pins it there beside a block that nothing leads to.
func lacking(t *testing.T, pick func(*blockstore.Store, block.ID) block.ID, partial bool) (store *blockstore.Store, root, gone block.ID) {
	t.Helper()
	from, _ := open(t)
	root = take(t, from, "some content")
	gone = pick(from, root)
	store, _ = open(t)
	err := snapshot.Refs(t.Context(), from, root, func(id block.ID) bool {
		if id == gone {
			return true
		}
		b, err := from.Get(t.Context(), id, nil)
		if err == nil {
			err = store.Put(t.Context(), b)
		}
		return err == nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), block.New(block.Raw, []byte("garbage"))); err != nil {
		t.Fatal(err)
	}
	if err := store.SetPin(t.Context(), blockstore.Pin{Root: root, Name: "mine", Partial: partial}); err != nil {
		t.Fatal(err)
	}
	return store, root, gone
}

func TestCollectionWithPinsThatLackBlocks(t *testing.T) {
	theRoot := func(_ *blockstore.Store, root block.ID) block.ID { return root }
	aPage := func(s *blockstore.Store, root block.ID) block.ID { return page(t, s, root) }
	aChunk := func(s *blockstore.Store, root block.ID) (chunk block.ID) {
		err := snapshot.Refs(t.Context(), s, root, func(id block.ID) bool {
			chunk = id // chunks come last
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		return chunk
	}
	for _, tc := range []struct {
		name    string
		pick    func(*blockstore.Store, block.ID) block.ID
		partial bool
		fails   bool
		kept    int64 // when it does not fail
	}{
		{"partial without its root", theRoot, true, false, 0},
		{"partial without a page", aPage, true, false, 1},
		{"partial without a chunk", aChunk, true, false, 3},
		{"complete without its root", theRoot, false, true, 0},
		{"complete without a page", aPage, false, true, 0},
		{"complete without a chunk", aChunk, false, false, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			store, root, gone := lacking(t, tc.pick, tc.partial)
			before, err := store.Stat(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var asked []block.ID
			s := local.New(store, "repo", local.Options{Lacks: func(id block.ID) { asked = append(asked, id) }})
			res, err := s.GC(t.Context(), api.GCRequest{}, nil)
			if !tc.fails {
				if err != nil || res.Kept != tc.kept || len(asked) > 0 {
					t.Errorf("%+v, %v, asked for %v", res, err, asked)
				}
				return
			}
			if !errors.Is(err, block.ErrNotFound) || !strings.Contains(err.Error(), root.String()) || !strings.Contains(err.Error(), "snapshot fetch") {
				t.Errorf("error %v", err)
			}
			if !slices.Equal(asked, []block.ID{gone}) {
				t.Errorf("asked for %v, want %v", asked, gone)
			}
			if after, err := store.Stat(t.Context()); err != nil || after.Blocks != before.Blocks {
				t.Errorf("%d blocks are left of %d, %v", after.Blocks, before.Blocks, err)
			}
		})
	}
}

func TestCollectionTellsWhatItRemoved(t *testing.T) {
	store, _ := open(t)
	garbage := block.New(block.Raw, binary.BigEndian.AppendUint64(nil, 1))
	if err := store.Put(t.Context(), garbage); err != nil {
		t.Fatal(err)
	}
	var told []block.ID
	s := local.New(store, "repo", local.Options{Removed: func(_ context.Context, ids []block.ID) { told = append(told, ids...) }})
	if _, err := s.GC(t.Context(), api.GCRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(told, []block.ID{garbage.ID()}) {
		t.Errorf("told %v", told)
	}
}
