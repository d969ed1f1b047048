package snapshot_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/snapshot/snaptest"
)

// changes returns what Diff yields, and checks that it says what is before and after.
func changes(t rapid.TB, src snapshot.Source, a, b block.ID) []string {
	t.Helper()
	var got []string
	for c, err := range snapshot.Diff(context.Background(), src, a, b) {
		if err != nil {
			t.Fatal(err)
		}
		if (c.Before == nil) != (c.Kind == snapshot.Added) || (c.After == nil) != (c.Kind == snapshot.Removed) {
			t.Errorf("%s %s: before %v, after %v", c.Kind, c.Path, c.Before, c.After)
		}
		got = append(got, fmt.Sprintf("%s %s", c.Kind, c.Path))
	}
	return got
}

// plant is a thing in a tree that a test describes.
type plant struct {
	kind    manifest.Type
	content string // of a file, or the target of a symbolic link
	mode    uint64
	below   map[string]plant
}

func plants(depth int) *rapid.Generator[map[string]plant] {
	one := rapid.Custom(func(rt *rapid.T) plant {
		p := plant{
			kind:    rapid.SampledFrom([]manifest.Type{manifest.File, manifest.Fifo, manifest.Symlink, manifest.Dir}).Draw(rt, "kind"),
			content: rapid.SampledFrom([]string{"x", "y", "xy"}).Draw(rt, "content"),
			mode:    rapid.SampledFrom([]uint64{0o600, 0o644}).Draw(rt, "mode"),
		}
		if p.kind == manifest.Dir && depth > 0 {
			p.below = plants(depth-1).Draw(rt, "below")
		}
		return p
	})
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "b ", "c", "d"}), one, 0, 5)
}

// grow makes entries of plants, the directories with pages of so many or, if 0, without. The
// files lie in chunks that begin with a filling.
func grow(f *forger, tree map[string]plant, per int, filling string) []manifest.Entry {
	var list []manifest.Entry
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		p := tree[name]
		e := manifest.Entry{Name: []byte(name), Type: p.kind}
		switch p.kind {
		case manifest.File:
			e = f.file(name, f.extent([]byte(filling+p.content), len(filling), len(p.content)))
		case manifest.Symlink:
			e.Target = []byte(p.content)
		case manifest.Dir:
			e = growDir(f, name, p.below, per, filling)
		default:
		}
		e.Mode = p.mode
		list = append(list, e)
	}
	return list
}

func growDir(f *forger, name string, tree map[string]plant, per int, filling string) manifest.Entry {
	entries := grow(f, tree, per, filling)
	if per > 0 && len(entries) > 0 {
		return f.pagedDir(name, per, entries...)
	}
	return f.dir(name, entries...)
}

// expected is what a comparison of two trees has to yield, found the slow way: by paths.
func expected(a, b map[string]plant) []string {
	var out []string
	before, after := flat("", a), flat("", b)
	for path, x := range before {
		switch y, there := after[path]; {
		case !there:
			out = append(out, "removed "+path)
		case x.kind != y.kind:
			out = append(out, "replaced "+path)
		case x.content != y.content && (x.kind == manifest.File || x.kind == manifest.Symlink):
			out = append(out, "modified "+path)
		case x.mode != y.mode:
			out = append(out, "metadata "+path)
		}
	}
	for path := range after {
		if _, there := before[path]; !there {
			out = append(out, "added "+path)
		}
	}
	return out
}

func flat(dir string, tree map[string]plant) map[string]plant {
	out := make(map[string]plant)
	for name, p := range tree {
		out[dir+name] = p
		maps.Copy(out, flat(dir+name+"/", p.below))
	}
	return out
}

// TestDiffAnyTrees compares trees of all types, paged differently and with small files in
// other chunks, with what a comparison path by path finds.
func TestDiffAnyTrees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := snaptest.NewStore()
		treeA, treeB := plants(2).Draw(rt, "a"), plants(2).Draw(rt, "b")
		var ids []block.ID
		for i, tree := range []map[string]plant{treeA, treeB} {
			f := newForger(t, store)
			per := rapid.IntRange(0, 3).Draw(rt, "per page")
			filling := strings.Repeat("-", i*rapid.IntRange(0, 1).Draw(rt, "filling"))
			ids = append(ids, f.root(growDir(f, "", tree, per, filling), nil))
		}
		got, want := changes(rt, store, ids[0], ids[1]), expected(treeA, treeB)
		// A path has one change, so that its parts in order are the order of the walk.
		byPath := func(x, y string) int {
			_, x, _ = strings.Cut(x, " ")
			_, y, _ = strings.Cut(y, " ")
			return slices.Compare(strings.Split(x, "/"), strings.Split(y, "/"))
		}
		slices.SortFunc(want, byPath)
		if !slices.IsSortedFunc(got, byPath) || !slices.Equal(got, want) {
			rt.Fatalf("got  %q\nwant %q", got, want)
		}
		if again := changes(rt, store, ids[1], ids[1]); len(again) > 0 {
			rt.Fatalf("a snapshot differs from itself: %q", again)
		}
	})
}

// TestDiffOfHardLinks tells of each name of a file that changes, and of a name that is left
// alone. Names that disagree with each other are refused.
func TestDiffOfHardLinks(t *testing.T) {
	store := snaptest.NewStore()
	forge := func(group string, contents ...string) block.ID {
		f := newForger(t, store)
		var list []manifest.Entry
		for i, content := range contents {
			e := f.file(string(rune('a'+i)), f.extent([]byte(content), 0, len(content)))
			if group != "" {
				e.Link = []byte(group)
			}
			list = append(list, e)
		}
		return f.root(f.dir("", list...), nil)
	}
	const group = "12345678"
	before := forge(group, "x", "x")
	for name, tc := range map[string]struct {
		after block.ID
		want  []string
	}{
		"new content":           {forge(group, "y", "y"), []string{"modified a", "modified b"}},
		"a name less":           {forge("", "x"), []string{"metadata a", "removed b"}},
		"a name more":           {forge(group, "x", "x", "x"), []string{"added c"}},
		"a file for each":       {forge("", "x", "x"), []string{"metadata a", "metadata b"}},
		"one of them rewritten": {forge("", "x", "y"), []string{"metadata a", "modified b"}},
	} {
		if got := changes(t, store, before, tc.after); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	var last error
	for _, err := range snapshot.Diff(t.Context(), store, before, forge(group, "x", "y")) {
		last = err
	}
	if !errors.Is(last, snapshot.ErrManifest) {
		t.Errorf("names that disagree: %v", last)
	}
}

// TestDiffOfDevices tells of another device as of another attribute, and of another target
// as of other content.
func TestDiffOfDevices(t *testing.T) {
	store := snaptest.NewStore()
	forge := func(minor uint64, target string) block.ID {
		f := newForger(t, store)
		return f.root(f.dir("", manifest.Entry{Name: []byte("dev"), Type: manifest.CharDevice, Device: []uint64{1, minor}},
			manifest.Entry{Name: []byte("link"), Type: manifest.Symlink, Target: []byte(target)}), nil)
	}
	if got, want := changes(t, store, forge(3, "x"), forge(5, "y")), []string{"metadata dev", "modified link"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDiffOfLargeFiles believes the chunks of files that share none, and reads none of them.
func TestDiffOfLargeFiles(t *testing.T) {
	store := snaptest.NewStore()
	forge := func(list func(*forger) []manifest.Extent) block.ID {
		f := newForger(t, store)
		return f.root(f.dir("", f.file("large", list(f)...)), nil)
	}
	data := snaptest.Noise(snapshot.SmallFile)
	a := forge(func(f *forger) []manifest.Extent { return []manifest.Extent{f.extent(data, 0, len(data))} })
	b := forge(func(f *forger) []manifest.Extent {
		return []manifest.Extent{f.extent(data[:1], 0, 1), f.extent(data[1:], 0, len(data)-1)}
	})
	for id := range store.Blocks {
		if id.Codec() == block.Raw {
			delete(store.Blocks, id)
		}
	}
	if got := changes(t, store, a, b); !slices.Equal(got, []string{"modified large"}) {
		t.Errorf("%q", got)
	}
}

// TestDiffStops yields nothing after what was enough, wherever that is.
func TestDiffStops(t *testing.T) {
	store := snaptest.NewStore()
	full := newForger(t, store)
	inner := full.pagedDir("inner", 2, fifos(5)...)
	a := full.root(full.dir("", inner, full.dir("other", fifos(1)...)), nil)
	f := newForger(t, store)
	b := f.root(f.dir("", manifest.Entry{Name: []byte("inner"), Type: manifest.Fifo}), nil)
	for _, ids := range [][2]block.ID{{a, b}, {b, a}} {
		all := changes(t, store, ids[0], ids[1])
		if len(all) != 8 {
			t.Fatalf("%q", all)
		}
		for enough := 1; enough <= len(all); enough++ {
			n := 0
			for _, err := range snapshot.Diff(t.Context(), store, ids[0], ids[1]) {
				if n++; err != nil || n == enough {
					break
				}
			}
			if n != enough {
				t.Errorf("%d changes after %d", n, enough)
			}
		}
	}
}

// TestDiffReadsBoth gives the error of the snapshot that cannot be read.
func TestDiffReadsBoth(t *testing.T) {
	store := snaptest.NewStore()
	forge := func(n int) (id, page block.ID) {
		f := newForger(t, store)
		id = f.root(f.pagedDir("", 2, fifos(n)...), nil)
		return id, f.nodes[len(f.nodes)-2].id
	}
	a, pageA := forge(4)
	b, pageB := forge(5)
	for _, missing := range []block.ID{pageA, pageB, a, b} {
		data := store.Blocks[missing]
		delete(store.Blocks, missing)
		var last error
		for _, err := range snapshot.Diff(t.Context(), store, a, b) {
			last = cmp.Or(last, err)
		}
		if !errors.Is(last, block.ErrNotFound) {
			t.Errorf("without %s: %v", missing, last)
		}
		store.Blocks[missing] = data
	}
}

// TestDiffOfSingleFiles has snapshots of a file: its path is its name, as Walk says.
func TestDiffOfSingleFiles(t *testing.T) {
	store, dir := snaptest.NewStore(), t.TempDir()
	of := func(name, text string) block.ID {
		t.Helper()
		path := filepath.Join(dir, name)
		at := time.Unix(1, 0)
		snaptest.Musts(t)(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at))
		return snaptest.Create(t, store, snaptest.Fixed(path)).ID
	}
	a, changed, b, tree := of("a", "x"), of("a", "y"), of("b", "x"), snaptest.Create(t, store, snaptest.Fixed(dir)).ID
	for _, tc := range []struct {
		from, to block.ID
		want     []string
	}{
		{a, a, nil},
		{a, changed, []string{"modified a"}},
		{a, b, []string{"removed a", "added b"}},
		{b, a, []string{"added a", "removed b"}},
		{a, tree, []string{"replaced ", "added a", "added b"}},
	} {
		if got := changes(t, store, tc.from, tc.to); !slices.Equal(got, tc.want) {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	for _, err := range snapshot.Diff(t.Context(), store, a, b) {
		if err != nil {
			t.Error(err)
		}
		break // after the first
	}
}
