package snapshot_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/snaptest"
)

func TestBrowse(t *testing.T) {
	src := t.TempDir()
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	for path, want := range map[string]error{
		"": nil, "/": nil, "sub": nil, "sub/": nil, "./sub/zero": nil, "small": nil,
		"nothing": snapshot.ErrNotInSnapshot, "sub/nothing": snapshot.ErrNotInSnapshot, "small/x": snapshot.ErrNotDir, "..": snapshot.ErrNotInSnapshot,
	} {
		if _, err := snapshot.Lookup(t.Context(), store, a.ID, path); !errors.Is(err, want) {
			t.Errorf("%q: %v", path, err)
		}
	}
	n := 0
	for _, err := range snapshot.List(t.Context(), store, a.ID, "sub") {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != 5 {
		t.Errorf("%d names in sub", n)
	}
	if _, err := snapshot.Cat(t.Context(), store, a.ID, "sub", io.Discard, 0, -1); !errors.Is(err, snapshot.ErrNotFile) {
		t.Error(err)
	}
}

func TestDiff(t *testing.T) {
	src := t.TempDir()
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	if err := errors.Join(os.WriteFile(filepath.Join(src, "small"), []byte("other"), 0o640), os.Remove(filepath.Join(src, "fifo")),
		os.Chmod(filepath.Join(src, "big"), 0o600), os.Remove(filepath.Join(src, "middle")), os.Mkdir(filepath.Join(src, "middle"), 0o755),
		os.WriteFile(filepath.Join(src, "middle/new"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	b := snaptest.Create(t, store, snaptest.Fixed(src))
	var got []string
	for c, err := range snapshot.Diff(t.Context(), store, a.ID, b.ID) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s", c.Kind, c.Path))
	}
	want := []string{
		"metadata ", "metadata big", "removed fifo", "replaced middle", "added middle/new", "modified small", "modified sub/hard",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	before := store.Gets()
	for c, err := range snapshot.Diff(t.Context(), store, a.ID, a.ID) {
		t.Error(c, err)
	}
	if store.Gets()-before > 2 {
		t.Errorf("%d blocks were read to find no difference", store.Gets()-before)
	}
}
