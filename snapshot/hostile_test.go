package snapshot_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// forge stores a snapshot whose top holds the entries, with an honest root and index
// that change may make lie.
func forge(t *testing.T, store *snaptest.Store, entries []manifest.Entry, change func(*manifest.Root)) block.ID {
	t.Helper()
	b, err := manifest.Encode(&manifest.Node{Entries: entries})
	if err != nil {
		t.Fatal(err)
	}
	return forgeTop(t, store, b, change)
}

func forgeTop(t *testing.T, store *snaptest.Store, top block.Block, change func(*manifest.Root)) block.ID {
	t.Helper()
	link := manifest.LinkTo(store.Put(top))
	page, err := manifest.Encode(&manifest.IndexPage{Records: manifest.AppendRecord(nil, top.ID(), top.Len())})
	if err != nil {
		t.Fatal(err)
	}
	root := &manifest.Root{
		Kind: manifest.Kind, Version: manifest.Version,
		Stats: manifest.Stats{Files: 100, Dirs: 100, Others: 100, Bytes: 1 << 30, Nodes: 1},
		Tree:  manifest.Entry{Type: manifest.Dir, Mode: 0o755, Node: &link},
		Index: []manifest.IndexRef{{Page: manifest.LinkTo(store.Put(page)), Count: 1}},
	}
	if change != nil {
		change(root)
	}
	b, err := manifest.Encode(root)
	if err != nil {
		t.Fatal(err)
	}
	return store.Put(b)
}

// readers are all the ways to look into a snapshot.
func readers(t *testing.T, store *snaptest.Store) map[string]func(ctx context.Context, id block.ID) error {
	t.Helper()
	return map[string]func(ctx context.Context, id block.ID) error{
		"restore": func(ctx context.Context, id block.ID) error {
			_, err := restore.Snapshot(ctx, store, id, filepath.Join(t.TempDir(), "out"), restore.Options{NoOwner: true})
			return err
		},
		"verify": func(ctx context.Context, id block.ID) error {
			_, err := snapshot.Verify(ctx, store, id, snapshot.VerifyOptions{})
			return err
		},
	}
}

func TestHostileTrees(t *testing.T) {
	store := snaptest.NewStore()
	data := store.Put(block.New(block.Raw, []byte("ten bytes.")))
	file := func(name string, offset, length uint64) manifest.Entry {
		return manifest.Entry{
			Name: []byte(name), Type: manifest.File, Mode: 0o644, Size: length,
			Extents: []manifest.Extent{{Chunk: manifest.LinkTo(data), Offset: offset, Length: length}},
		}
	}
	linked := func(e manifest.Entry) manifest.Entry {
		e.Link = []byte("12345678")
		return e
	}
	for name, make := range map[string]func() block.ID{
		"extent beyond its chunk": func() block.ID {
			return forge(t, store, []manifest.Entry{file("a", 5, 6)}, nil)
		},
		"hard links that disagree": func() block.ID {
			return forge(t, store, []manifest.Entry{linked(file("a", 0, 5)), linked(file("b", 1, 5))}, nil)
		},
		"more files than the root says": func() block.ID {
			return forge(t, store, []manifest.Entry{file("a", 0, 5), file("b", 0, 5)}, func(r *manifest.Root) { r.Stats.Files = 1 })
		},
		"more bytes than the root says": func() block.ID {
			return forge(t, store, []manifest.Entry{file("a", 0, 5), file("b", 0, 5)}, func(r *manifest.Root) { r.Stats.Bytes = 9 })
		},
		"a tree that repeats itself": func() block.ID { return bomb(t, store) },
		"a page that is another":     func() block.ID { return wrongPage(t, store) },
		"extents that are others": func() block.ID {
			e := file("a", 0, 5)
			page, err := manifest.Encode(&manifest.ExtentPage{Extents: e.Extents})
			if err != nil {
				t.Fatal(err)
			}
			e.Extents, e.Pages = nil, []manifest.ExtentRef{{Page: manifest.LinkTo(store.Put(page)), Count: 1, Length: 6}}
			e.Size = 6
			return forge(t, store, []manifest.Entry{e}, nil)
		},
	} {
		id := make()
		for how, read := range readers(t, store) {
			t.Run(name+"/"+how, func(t *testing.T) {
				if err := read(t.Context(), id); !errors.Is(err, snapshot.ErrManifest) {
					t.Fatalf("got %v", err)
				}
			})
		}
	}
}

// bomb is a tree of two names on each of sixty levels, all the same node.
func bomb(t *testing.T, store *snaptest.Store) block.ID {
	t.Helper()
	b, err := manifest.Encode(&manifest.Node{})
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		link := manifest.LinkTo(store.Put(b))
		e := manifest.Entry{Type: manifest.Dir, Mode: 0o755, Node: &link}
		n := &manifest.Node{Entries: []manifest.Entry{e, e}}
		n.Entries[0].Name, n.Entries[1].Name = []byte("a"), []byte("b")
		if b, err = manifest.Encode(n); err != nil {
			t.Fatal(err)
		}
	}
	return forgeTop(t, store, b, nil)
}

// wrongPage is a paged directory whose reference lies about the page's first name.
func wrongPage(t *testing.T, store *snaptest.Store) block.ID {
	t.Helper()
	page, err := manifest.Encode(&manifest.Node{Entries: []manifest.Entry{{Name: []byte("b"), Type: manifest.Fifo}}})
	if err != nil {
		t.Fatal(err)
	}
	top, err := manifest.Encode(&manifest.Node{Pages: []manifest.NodeRef{{Page: manifest.LinkTo(store.Put(page)), First: []byte("a"), Count: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	return forgeTop(t, store, top, nil)
}

// TestDepthBomb nests directories beyond the bound.
func TestDepthBomb(t *testing.T) {
	store := snaptest.NewStore()
	b, err := manifest.Encode(&manifest.Node{})
	if err != nil {
		t.Fatal(err)
	}
	for range manifest.MaxDepth + 2 {
		link := manifest.LinkTo(store.Put(b))
		if b, err = manifest.Encode(&manifest.Node{Entries: []manifest.Entry{{Name: []byte("d"), Type: manifest.Dir, Mode: 0o755, Node: &link}}}); err != nil {
			t.Fatal(err)
		}
	}
	id := forgeTop(t, store, b, func(r *manifest.Root) { r.Stats.Dirs = 1 << 40 })
	for how, read := range readers(t, store) {
		if err := read(t.Context(), id); !errors.Is(err, snapshot.ErrManifest) {
			t.Errorf("%s: %v", how, err)
		}
	}
}

func TestHostileIndex(t *testing.T) {
	store := snaptest.NewStore()
	src := t.TempDir()
	if err := os.WriteFile(filepath.Join(src, "f"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	honest, err := snapshot.LoadRoot(t.Context(), store, res.ID)
	if err != nil {
		t.Fatal(err)
	}
	index, err := snapshot.LoadIndex(t.Context(), store, honest)
	if err != nil || index.Len() != 2 {
		t.Fatal(index.Len(), err)
	}
	node, nodeSize := index.At(0)
	chunk, chunkSize := index.At(1)
	other := block.New(block.Raw, []byte("another")).ID()
	record := manifest.AppendRecord
	for name, tc := range map[string]struct {
		records []byte
		change  func(*manifest.Root)
	}{
		"size of a chunk":   {record(record(nil, node, nodeSize), chunk, chunkSize-1), func(r *manifest.Root) { r.Stats.ChunkBytes-- }},
		"size of a node":    {record(record(nil, node, nodeSize+1), chunk, chunkSize), nil},
		"bytes in all":      {record(record(nil, node, nodeSize), chunk, chunkSize), func(r *manifest.Root) { r.Stats.ChunkBytes++ }},
		"chunk before node": {record(record(nil, chunk, chunkSize), node, nodeSize), nil},
		"another chunk":     {record(record(nil, node, nodeSize), other, chunkSize), nil},
		"one too many": {record(record(record(nil, node, nodeSize), chunk, chunkSize), other, 1), func(r *manifest.Root) {
			r.Stats.Chunks, r.Stats.ChunkBytes, r.Index[0].Count = 2, r.Stats.ChunkBytes+1, 3
		}},
		"twice": {record(record(record(nil, node, nodeSize), chunk, chunkSize), chunk, chunkSize), func(r *manifest.Root) {
			r.Stats.Chunks, r.Stats.ChunkBytes, r.Index[0].Count = 2, r.Stats.ChunkBytes*2, 3
		}},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := manifest.Encode(&manifest.IndexPage{Records: tc.records})
			if err != nil {
				t.Fatal(err)
			}
			root, err := snapshot.LoadRoot(t.Context(), store, res.ID)
			if err != nil {
				t.Fatal(err)
			}
			root.Index[0].Page = manifest.LinkTo(store.Put(page))
			if tc.change != nil {
				tc.change(root)
			}
			b, err := manifest.Encode(root)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := snapshot.Verify(t.Context(), store, store.Put(b), snapshot.VerifyOptions{}); !errors.Is(err, snapshot.ErrManifest) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// TestRefs yields everything a snapshot needs, and no more.
func TestRefs(t *testing.T) {
	src := t.TempDir()
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	seen := make(map[block.ID]bool)
	if err := snapshot.Refs(t.Context(), store, res.ID, func(id block.ID) bool { seen[id] = true; return true }); err != nil {
		t.Fatal(err)
	}
	for id := range store.Blocks {
		if !seen[id] {
			t.Errorf("block %s is stored and not referred to", id)
		}
	}
	if len(seen) != len(store.Blocks) {
		t.Errorf("%d blocks referred to, %d stored", len(seen), len(store.Blocks))
	}
}
