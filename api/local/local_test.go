package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/local"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
)

func open(t *testing.T) (*blockstore.Store, *local.Store) {
	t.Helper()
	store, err := blockstore.Open(filepath.Join(t.TempDir(), "blocks"), blockstore.Default(), blockstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store, local.New(store, "repo", local.Options{})
}

// take writes a snapshot of one file into a store.
func take(t *testing.T, store *blockstore.Store, content string) block.ID {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := store.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	res, err := create.Snapshot(t.Context(), w, create.Options{Path: dir, Label: "in the root"})
	if err != nil {
		t.Fatal(err)
	}
	return res.ID
}

func list(t *testing.T, s *local.Store) []api.Snapshot {
	t.Helper()
	var all []api.Snapshot
	for snap, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, snap)
	}
	return all
}

func TestKeepAndForget(t *testing.T) {
	store, s := open(t)
	ctx := t.Context()
	root := take(t, store, "one")
	if snap, err := s.Get(ctx, root); err != nil || snap.Pinned || snap.Complete == nil || !*snap.Complete || snap.Files != 1 {
		t.Errorf("before it is kept: %+v, %v", snap, err)
	}
	first, err := s.Keep(ctx, root, api.KeepRequest{Partial: true})
	if err != nil || !first.Pinned || first.Label != "in the root" {
		t.Fatalf("Keep: %+v, %v", first, err)
	}
	again, err := s.Keep(ctx, root, api.KeepRequest{Label: "renamed", Tags: []string{"a"}})
	if err != nil || again.Label != "renamed" || !again.PinnedAt.Equal(*first.PinnedAt) {
		t.Errorf("Keep again: %+v, %v", again, err)
	}
	if all := list(t, s); len(all) != 1 || all[0].CID != root || all[0].Label != "renamed" || all[0].Tags[0] != "a" {
		t.Errorf("List: %+v", all)
	}
	if res, err := s.GC(ctx, api.GCRequest{}, nil); err != nil || res.Removed != 0 || res.Kept == 0 {
		t.Errorf("GC of a kept snapshot: %+v, %v", res, err)
	}
	if err := s.Forget(ctx, root); err != nil {
		t.Error(err)
	}
	if err := s.Forget(ctx, root); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Forget twice: %v, want ErrNotFound", err)
	}
	if res, err := s.GC(ctx, api.GCRequest{DryRun: true}, nil); err != nil || res.Removed == 0 {
		t.Errorf("dry run: %+v, %v", res, err)
	}
	if res, err := s.GC(ctx, api.GCRequest{}, nil); err != nil || res.Kept != 0 {
		t.Errorf("GC of a forgotten snapshot: %+v, %v", res, err)
	}
	if _, err := s.Verify(ctx, root, api.VerifyRequest{}, nil); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("Verify of what is gone: %v, want ErrNotFound", err)
	}
}

// without copies a snapshot into a new store, leaving out its blocks of a codec.
func without(t *testing.T, codec block.Codec) (*local.Store, block.ID) {
	t.Helper()
	store, _ := open(t)
	root := take(t, store, "some content")
	into, s := open(t)
	put := func(id block.ID) bool {
		b, err := store.Get(t.Context(), id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if id == root || id.Codec() != codec {
			err = into.Put(t.Context(), b)
		}
		return err == nil
	}
	if err := snapshot.Refs(t.Context(), store, root, put); err != nil {
		t.Fatal(err)
	}
	return s, root
}

func TestIncomplete(t *testing.T) {
	s, root := without(t, block.Raw)
	ctx := t.Context()
	if _, err := s.Keep(ctx, root, api.KeepRequest{}); !errors.Is(err, api.ErrIncomplete) {
		t.Errorf("Keep: %v, want ErrIncomplete", err)
	}
	if missing, err := s.Missing(ctx, root); err != nil || len(missing) != 1 || missing[0].Codec() != block.Raw {
		t.Errorf("Missing: %v, %v", missing, err)
	}
	rep, err := s.Verify(ctx, root, api.VerifyRequest{ReadData: true}, nil)
	if err != nil || rep.OK || len(rep.Missing) != 1 {
		t.Errorf("Verify: %+v, %v", rep, err)
	}
	if snap, err := s.Get(ctx, root); err != nil || *snap.Complete {
		t.Errorf("Get: %+v, %v", snap, err)
	}
}

func TestIncompleteManifest(t *testing.T) {
	s, root := without(t, block.DagCBOR)
	ctx := t.Context()
	rep, err := s.Verify(ctx, root, api.VerifyRequest{}, nil)
	if err != nil || rep.OK || len(rep.Missing)+len(rep.Problems) == 0 {
		t.Errorf("Verify: %+v, %v", rep, err)
	}
	if snap, err := s.Get(ctx, root); err != nil || *snap.Complete {
		t.Errorf("Get: %+v, %v", snap, err)
	}
}

func TestFsckKnowsSnapshots(t *testing.T) {
	store, s := open(t)
	root := take(t, store, "content")
	if err := store.SetPin(t.Context(), blockstore.Pin{Root: root, Name: "whole"}); err != nil {
		t.Fatal(err)
	}
	if rep, err := s.Fsck(t.Context(), api.FsckRequest{ReadData: true}, nil); err != nil || !rep.OK || rep.Blocks == 0 {
		t.Errorf("sound store: %+v, %v", rep, err)
	}
	gone := block.New(block.DagCBOR, []byte("not held")).ID()
	if err := store.SetPin(t.Context(), blockstore.Pin{Root: gone, Name: "gone"}); err != nil {
		t.Fatal(err)
	}
	rep, err := s.Fsck(t.Context(), api.FsckRequest{}, nil)
	if err != nil || rep.OK || len(rep.Snapshots) != 1 || rep.Snapshots[0].CID != gone {
		t.Errorf("a pin without its root: %+v, %v", rep, err)
	}
	if all := list(t, s); len(all) != 2 {
		t.Errorf("List: %+v", all)
	}
}
