package snapshot_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/snapshot/snaptest"
)

// census returns the census of a snapshot with these statistics.
func census(t *testing.T, stats manifest.Stats) *snapshot.Census {
	t.Helper()
	store := snaptest.NewStore()
	f := newForger(t, store)
	f.stats = stats
	id := f.root(f.dir(""), func(r *manifest.Root) { r.Stats.Dirs = stats.Dirs })
	tree, err := snapshot.OpenTree(t.Context(), store, id)
	if err != nil {
		t.Fatal(err)
	}
	return tree.NewCensus()
}

// TestCensusBounds counts up to what the root says, and no further.
func TestCensusBounds(t *testing.T) {
	link := []byte("12345678")
	file := &manifest.Entry{Type: manifest.File, Size: 5}
	first, other := &manifest.Entry{Name: []byte("a"), Type: manifest.File, Size: 5, Link: link}, &manifest.Entry{Name: []byte("b"), Type: manifest.File, Size: 5, Link: link}
	huge := &manifest.Entry{Type: manifest.File, Size: manifest.MaxFileSize}
	all := func(bytes uint64) manifest.Stats { return manifest.Stats{Files: 9, Dirs: 9, Others: 9, Bytes: bytes} }
	for name, tc := range map[string]struct {
		stats manifest.Stats
		list  []*manifest.Entry // all but the last are counted
	}{
		"files":             {manifest.Stats{Files: 2, Bytes: 99}, []*manifest.Entry{file, file, file}},
		"directories":       {manifest.Stats{Dirs: 1}, []*manifest.Entry{{Type: manifest.Dir}, {Type: manifest.Dir}}},
		"others":            {manifest.Stats{Others: 4}, []*manifest.Entry{{Type: manifest.Fifo}, {Type: manifest.Symlink}, {Type: manifest.CharDevice}, {Type: manifest.BlockDevice}, {Type: manifest.Fifo}}},
		"bytes":             {all(10), []*manifest.Entry{file, file, file}},
		"bytes of one":      {all(4), []*manifest.Entry{file}},
		"no overflow":       {all(manifest.MaxFileSize), []*manifest.Entry{huge, huge}},
		"further names":     {all(5), []*manifest.Entry{first, other, other, file}},
		"names are counted": {manifest.Stats{Files: 2, Bytes: 5}, []*manifest.Entry{first, other, other}},
	} {
		c := census(t, tc.stats)
		for i, e := range tc.list {
			further, err := c.Add(e, "path", 0)
			if last := i == len(tc.list)-1; last != errors.Is(err, snapshot.ErrManifest) || !last && further != (e == other) {
				t.Errorf("%s: entry %d: %v, %v", name, i, further, err)
			}
		}
	}
}

// TestCensusDepth lets directories be as deep as the format says, and other things in the
// deepest.
func TestCensusDepth(t *testing.T) {
	c := census(t, manifest.Stats{Files: 9, Dirs: 9})
	dir, file := &manifest.Entry{Type: manifest.Dir}, &manifest.Entry{Type: manifest.File}
	if _, err := c.Add(dir, "d", manifest.MaxDepth); err != nil {
		t.Error(err)
	}
	if _, err := c.Add(file, "d/f", manifest.MaxDepth+1); err != nil {
		t.Error(err)
	}
	if _, err := c.Add(dir, "d/d", manifest.MaxDepth+1); !errors.Is(err, snapshot.ErrManifest) {
		t.Errorf("got %v", err)
	}
}

// TestCensusClipsPaths does not fill a log with a path that is as long as a liar likes.
func TestCensusClipsPaths(t *testing.T) {
	c := census(t, manifest.Stats{})
	_, err := c.Add(&manifest.Entry{Type: manifest.Fifo}, strings.Repeat("long/", 1<<20)+"end", 0)
	if !errors.Is(err, snapshot.ErrManifest) || len(err.Error()) > 500 || !strings.Contains(err.Error(), "long/end") {
		t.Errorf("%d bytes: %.500v", len(err.Error()), err)
	}
}

// TestRefsStopsEarly yields nothing after what was enough, and then reads nothing either.
func TestRefsStopsEarly(t *testing.T) {
	store := snaptest.NewStore()
	id := sample(t, store, lie{})
	var all []block.ID
	if err := snapshot.Refs(t.Context(), store, id, func(id block.ID) bool { all = append(all, id); return true }); err != nil {
		t.Fatal(err)
	}
	if len(all) != 15 || all[0] != id { // the root, four pages of the index, ten blocks
		t.Fatalf("%d blocks", len(all))
	}
	for enough := 1; enough <= len(all); enough++ {
		var got []block.ID
		before := store.Gets()
		if err := snapshot.Refs(t.Context(), store, id, func(id block.ID) bool { got = append(got, id); return len(got) < enough }); err != nil {
			t.Errorf("after %d: %v", enough, err)
		}
		if !slices.Equal(got, all[:enough]) {
			t.Errorf("after %d: %d more", enough, len(got)-enough)
		}
		// Of each page's four blocks the first is the page itself, which is told before it is read.
		if reads, want := store.Gets()-before, 1+(enough-1+2)/4; reads != want {
			t.Errorf("%d blocks were read for %d", reads, want)
		}
	}
}

// TestRefsMissing tells of the page that it cannot read, which collection must not take for
// a snapshot that refers to less.
func TestRefsMissing(t *testing.T) {
	store := snaptest.NewStore()
	id := sample(t, store, lie{})
	root, err := snapshot.LoadRoot(t.Context(), store, id)
	if err != nil {
		t.Fatal(err)
	}
	for i, ref := range root.Index {
		data := store.Blocks[ref.Page.ID]
		delete(store.Blocks, ref.Page.ID)
		n := 0
		err := snapshot.Refs(t.Context(), store, id, func(block.ID) bool { n++; return true })
		if !errors.Is(err, block.ErrNotFound) || n != 2+4*i {
			t.Errorf("without page %d: %d blocks, %v", i, n, err)
		}
		store.Blocks[ref.Page.ID] = data
	}
	delete(store.Blocks, id)
	if err := snapshot.Refs(t.Context(), store, id, func(block.ID) bool { t.Error("yielded"); return true }); !errors.Is(err, block.ErrNotFound) {
		t.Error(err)
	}
}

// TestIndexAt finds blocks by ordinal over the pages of the index, and has no others.
func TestIndexAt(t *testing.T) {
	store := snaptest.NewStore()
	f := newForger(t, store)
	var list []manifest.Extent
	for i := range 20 {
		list = append(list, f.extent(fmt.Appendf(nil, "chunk %d", i), 0, 1))
	}
	id := f.root(f.dir("", f.file("file", list...)), nil)
	root, err := snapshot.LoadRoot(t.Context(), store, id)
	if err != nil {
		t.Fatal(err)
	}
	index, err := snapshot.LoadIndex(t.Context(), store, root)
	if err != nil || index.Len() != 21 || len(root.Index) != 7 {
		t.Fatal(index.Len(), len(root.Index), err)
	}
	for i, want := range slices.Concat(f.nodes, f.chunks) {
		if id, size := index.At(i); id != want.id || size != want.size {
			t.Errorf("%d: %s of %d bytes", i, id, size)
		}
	}
	for _, i := range []int{-1, 21, math.MaxInt} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("there is a block %d", i)
				}
			}()
			index.At(i)
		}()
	}
}

// TestWalkStops yields nothing after what was enough, and nothing after an error.
func TestWalkStops(t *testing.T) {
	store := snaptest.NewStore()
	id := sample(t, store, lie{})
	var all []string
	for it, err := range snapshot.Walk(t.Context(), store, id) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, it.Path)
	}
	want := []string{"", "first", "further", "inner", "inner/00000", "inner/00002", "inner/00004", "inner/00006", "inner/00008", "paged"}
	if !slices.Equal(all, want) {
		t.Errorf("got  %q\nwant %q", all, want)
	}
	for enough := 1; enough <= len(all); enough++ {
		n := 0
		for _, err := range snapshot.Walk(t.Context(), store, id) {
			if n++; err != nil || n == enough {
				break
			}
		}
		if n != enough {
			t.Errorf("%d after %d", n, enough)
		}
	}
	for name, n := range map[string]int{"more files": 9, "more others": 8, "a page with another first name": 6, "a hard link with another mode": 2} {
		id, seen := sample(t, store, lies[name].lie), 0
		var last error
		for _, err := range snapshot.Walk(t.Context(), store, id) {
			if last != nil {
				t.Errorf("%s: something after %v", name, last)
			}
			if last = err; err == nil {
				seen++
			}
		}
		if !errors.Is(last, snapshot.ErrManifest) || seen != n {
			t.Errorf("%s: %d entries and then %v", name, seen, last)
		}
	}
}
