package blockstore_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	ds "github.com/ipfs/go-datastore"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/blockstore/storetest"
)

// asAfterKill copies the directory of a store that is open.
func asAfterKill(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", dir, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return to
}

func readOnly(t *testing.T, dir string) *blockstore.Store {
	t.Helper()
	s, err := blockstore.Open(dir, testConfig(), blockstore.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestReadOnly reads a store as a killed process left it, twice at once, and changes
// nothing, whatever is asked for.
func TestReadOnly(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx := t.Context()
	live := t.TempDir()
	s := open(t, live)
	blocks := storetest.Blocks(1, 100, 70<<10, 1<<20)
	if err := errors.Join(s.Put(ctx, blocks...), s.SetPin(ctx, storetest.PinOf(blocks[0], blocks[1]))); err != nil {
		t.Fatal(err)
	}
	dir := asAfterKill(t, live)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	a, b := readOnly(t, dir), readOnly(t, dir)
	if _, err := blockstore.Open(dir, testConfig(), blockstore.Options{}); !errors.Is(err, blockstore.ErrLocked) {
		t.Errorf("opened beside a reader: %v", err)
	}
	for _, s := range []*blockstore.Store{a, b} {
		storetest.CheckHeld(t, s, blocks...)
		if got := roots(t, s); len(got) != 1 {
			t.Errorf("%d pins", len(got))
		}
		if rep, err := s.Fsck(ctx, blockstore.FsckOptions{ReadData: true}); err != nil || !rep.OK() || rep.Blocks != 3 {
			t.Errorf("%+v, %v", rep, err)
		}
		if res := storetest.Collect(t, s, true); res.SweptBlocks != 1 {
			t.Errorf("%+v", res)
		}
		refused(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if after := tree(t, dir); after != before {
		t.Errorf("changed from\n%s\nto\n%s", before, after)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	// Whoever may write takes it up from where it was.
	s = open(t, dir)
	defer s.Close()
	storetest.CheckHeld(t, s, blocks...)
}

// refused checks that what changes a store is refused.
func refused(t *testing.T, s *blockstore.Store) {
	t.Helper()
	ctx := t.Context()
	b := storetest.Block(1000, 9)
	_, gcErr := s.GC(ctx, blockstore.GCOptions{Mark: func(context.Context, blockstore.Pin, func(block.ID) bool) error { return nil }})
	_, fsckErr := s.Fsck(ctx, blockstore.FsckOptions{Repair: true})
	for i, err := range []error{
		s.Put(ctx, b), s.SetPin(ctx, storetest.PinOf(b)), s.RemovePin(ctx, b.ID()), s.RebuildPins(ctx, nil), gcErr, fsckErr,
		s.CheckWritable(ctx), s.Datastore("x").Put(ctx, ds.NewKey("k"), []byte("v")),
	} {
		if !errors.Is(err, blockstore.ErrReadOnly) {
			t.Errorf("change %d: %v", i, err)
		}
	}
	w, err := s.NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(ctx, b, nil); !errors.Is(err, blockstore.ErrReadOnly) {
		t.Errorf("Add: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// A directory that is no store does not become one.
func TestReadOnlyWithoutStore(t *testing.T) {
	dir := t.TempDir()
	if _, err := blockstore.Open(dir, testConfig(), blockstore.Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v was made, %v", left, err)
	}
}

// tree lists the files below a directory with what tells a change.
func tree(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "find", dir, "-printf", "%P %s %T@ %C@\n").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestLeftoversAreRemoved has a version and pins in the store that a killed process had not
// finished: whoever may write removes them.
func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".version1234567890123456789", ".pins1234567890123456789"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if list, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(list) > 0 {
		t.Errorf("left are %q, %v", list, err)
	}
}
