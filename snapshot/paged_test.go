package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/snapshot/snaptest"
)

// listed returns the paths that List yields.
func listed(t rapid.TB, src snapshot.Source, id block.ID, path string) []string {
	t.Helper()
	var got []string
	for it, err := range snapshot.List(context.Background(), src, id, path) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, it.Path)
	}
	return got
}

// TestPagedDirectory finds names in a directory of pages that are full, at their ends and
// between them, and reads one page for each.
func TestPagedDirectory(t *testing.T) {
	store := snaptest.NewStore()
	f := newForger(t, store)
	entries := fifos(2*manifest.MaxNodeEntries + 1000) // 00000, 00002, ...
	id := f.root(f.dir("", f.pagedDir("many", manifest.MaxNodeEntries, entries...)), nil)
	for i, e := range entries {
		if edge := i % manifest.MaxNodeEntries; edge > 1 && edge < manifest.MaxNodeEntries-1 && i != len(entries)-1 {
			continue
		}
		path := "many/" + string(e.Name)
		before := store.Gets()
		it, err := snapshot.Lookup(t.Context(), store, id, path)
		if err != nil || it.Path != path || it.Entry.Type != manifest.Fifo {
			t.Fatalf("%s: %+v, %v", path, it, err)
		}
		if n := store.Gets() - before; n != 4 { // the root, the top, the directory and a page
			t.Errorf("%s: %d blocks were read", path, n)
		}
	}
	for _, name := range []string{"", "00001", "32767", "32769", "65537", "99999", "\x00", "\xff", "many"} {
		if _, err := snapshot.Lookup(t.Context(), store, id, "many/x"+name); !errors.Is(err, snapshot.ErrNotInSnapshot) {
			t.Errorf("x%q: %v", name, err)
		}
		if _, err := snapshot.Lookup(t.Context(), store, id, "many/"+name); name != "" && !errors.Is(err, snapshot.ErrNotInSnapshot) {
			t.Errorf("%q: %v", name, err)
		}
	}
	got := listed(t, store, id, "many")
	if len(got) != len(entries) || !slices.IsSorted(got) {
		t.Errorf("%d names, in order: %v", len(got), slices.IsSorted(got))
	}
	if res, err := snapshot.Verify(t.Context(), store, id, snapshot.VerifyOptions{}); err != nil || res.Nodes != 5 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestPagesEndEarly reads no more pages than are asked for.
func TestPagesEndEarly(t *testing.T) {
	store := snaptest.NewStore()
	f := newForger(t, store)
	id := f.root(f.pagedDir("", 3, fifos(30)...), nil)
	for enough, want := range map[int]int{1: 3, 3: 3, 4: 4, 30: 12} {
		before, n := store.Gets(), 0
		for _, err := range snapshot.List(t.Context(), store, id, "") {
			if n++; err != nil {
				t.Fatal(err)
			}
			if n == enough {
				break
			}
		}
		if got := store.Gets() - before; got != want {
			t.Errorf("%d blocks were read for %d names, want %d", got, enough, want)
		}
	}
}

// TestLookupAsListed compares the two ways to find a name, whatever the names and pages.
func TestLookupAsListed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringMatching(`[a-c\xff -]{1,3}`)
		names := rapid.SliceOfNDistinct(name, 1, 20, rapid.ID[string]).Draw(rt, "names")
		slices.Sort(names)
		store := snaptest.NewStore()
		f := newForger(t, store)
		var entries []manifest.Entry
		for i, n := range names {
			entries = append(entries, manifest.Entry{Name: []byte(n), Type: manifest.Fifo, UID: uint64(i)})
		}
		top := f.dir("", entries...)
		if per := rapid.IntRange(0, 5).Draw(rt, "per page"); per > 0 {
			f = newForger(t, store)
			top = f.pagedDir("", per, entries...)
		}
		id := f.root(top, nil)
		if got := listed(rt, store, id, "/"); !slices.Equal(got, names) {
			rt.Fatalf("listed %q, want %q", got, names)
		}
		for _, n := range append(names, rapid.SliceOf(name).Draw(rt, "others")...) {
			i, there := slices.BinarySearch(names, n)
			it, err := snapshot.Lookup(context.Background(), store, id, n)
			switch {
			case n == ".":
			case there && (err != nil || it.Path != n || it.Entry.UID != uint64(i)):
				rt.Fatalf("%q: %+v, %v", n, it, err)
			case !there && !errors.Is(err, snapshot.ErrNotInSnapshot):
				rt.Fatalf("%q, which is not there: %v", n, err)
			}
		}
	})
}

// TestManyNames takes snapshots of a real directory that has more names than a node holds,
// and finds the two names that changed.
func TestManyNames(t *testing.T) {
	src := t.TempDir()
	must := snaptest.Musts(t)
	name := func(i int) string { return fmt.Sprintf("%s-%05d", strings.Repeat("n", 60), i) }
	const count = manifest.MaxNodeEntries + 600
	must(os.WriteFile(filepath.Join(src, name(0)), []byte("one file"), 0o600))
	must(unix.Mkfifo(filepath.Join(src, name(1)), 0o600))
	for i := 2; i < count; i++ { // one inode is quicker to make than thousands
		must(os.Link(filepath.Join(src, name(1)), filepath.Join(src, name(i))))
	}
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	if got := listed(t, store, a.ID, ""); len(got) != count || got[0] != name(0) || got[count-1] != name(count-1) || !slices.IsSorted(got) {
		t.Errorf("%d names, from %s", len(got), got[0])
	}
	for _, i := range []int{0, 1, count / 2, count - 1} {
		if it, err := snapshot.Lookup(t.Context(), store, a.ID, name(i)); err != nil || it.Path != name(i) {
			t.Errorf("%d: %+v, %v", i, it, err)
		}
	}
	must(os.Remove(filepath.Join(src, name(count/2))), os.WriteFile(filepath.Join(src, name(count)), nil, 0o600))
	b := snaptest.Create(t, store, snaptest.Fixed(src))
	want := []string{"metadata ", "removed " + name(count/2), "added " + name(count)}
	if got := changes(t, store, a.ID, b.ID); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, id := range []block.ID{a.ID, b.ID} {
		if res, err := snapshot.Verify(t.Context(), store, id, snapshot.VerifyOptions{ReadData: true}); err != nil || len(res.Problems) > 0 {
			t.Error(res.Problems, err)
		}
	}
}

// TestLookupHostilePage refuses a page that is not the one that its directory speaks of.
func TestLookupHostilePage(t *testing.T) {
	store := snaptest.NewStore()
	id := sample(t, store, lies["a page with another first name"].lie)
	if _, err := snapshot.Lookup(t.Context(), store, id, "inner/00004"); !errors.Is(err, snapshot.ErrManifest) {
		t.Error(err)
	}
	if _, err := snapshot.Lookup(t.Context(), store, id, "inner/00000"); err != nil {
		t.Errorf("on an honest page: %v", err)
	}
	var last error
	n := 0
	for _, err := range snapshot.List(t.Context(), store, id, "inner") {
		last, n = err, n+1
	}
	if !errors.Is(last, snapshot.ErrManifest) || n != 3 {
		t.Errorf("%d names and then %v", n-1, last)
	}
}

// TestSnapshotOfOneFile is found by its name, and by none where it has none.
func TestSnapshotOfOneFile(t *testing.T) {
	store := snaptest.NewStore()
	for name, paths := range map[string]map[string]error{
		"file": {
			"": nil, "/": nil, ".": nil, "file": nil, "./file": nil, "file/": nil, "other": snapshot.ErrNotInSnapshot,
			"file/x": snapshot.ErrNotDir, "file/file": snapshot.ErrNotDir, "..": snapshot.ErrNotInSnapshot,
		},
		"": {"": nil, "/": nil, "file": snapshot.ErrNotInSnapshot},
	} {
		f := newForger(t, store)
		id := f.root(f.file(name, f.extent([]byte("content"), 0, 7)), nil)
		for path, want := range paths {
			it, err := snapshot.Lookup(t.Context(), store, id, path)
			if !errors.Is(err, want) || err == nil && it.Path != name {
				t.Errorf("%q in the snapshot of %q: %q, %v", path, name, it.Path, err)
			}
			var out strings.Builder
			n, err := snapshot.Cat(t.Context(), store, id, path, &out, 3, -1)
			if !errors.Is(err, want) || err == nil && (n != 4 || out.String() != "tent") {
				t.Errorf("content of %q in the snapshot of %q: %q, %v", path, name, out.String(), err)
			}
		}
		if got := listed(t, store, id, ""); !slices.Equal(got, []string{name}) {
			t.Errorf("listed %q", got)
		}
	}
}
