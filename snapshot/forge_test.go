package snapshot_test

import (
	"slices"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/snapshot/snaptest"
)

// forger makes one snapshot by hand. What it makes is honest: the index and the statistics
// are those of what was made with it, until a test makes the root lie.
type forger struct {
	tb     testing.TB
	store  *snaptest.Store
	nodes  []record
	chunks []record
	stats  manifest.Stats
	groups map[string]bool // hard links that were counted
}

// record is what the index says about a block.
type record struct {
	id   block.ID
	size int
}

func newForger(tb testing.TB, store *snaptest.Store) *forger {
	tb.Helper()
	return &forger{tb: tb, store: store, groups: make(map[string]bool)}
}

// add stores a block and puts it into the index, once.
func (f *forger) add(list *[]record, b block.Block) manifest.Link {
	id := f.store.Put(b)
	for _, r := range *list {
		if r.id == id {
			return manifest.LinkTo(id)
		}
	}
	*list = append(*list, record{id, b.Len()})
	return manifest.LinkTo(id)
}

// encode stores a block of the manifest.
func encode[T any, P manifest.Value[T]](f *forger, v P) manifest.Link {
	f.tb.Helper()
	b, err := manifest.Encode(v)
	if err != nil {
		f.tb.Fatal(err)
	}
	return f.add(&f.nodes, b)
}

// extent stores a chunk and returns the extent of length bytes at offset of it.
func (f *forger) extent(chunk []byte, offset, length int) manifest.Extent {
	return manifest.Extent{Chunk: f.add(&f.chunks, block.New(block.Raw, chunk)), Offset: uint64(offset), Length: uint64(length)}
}

func hole(length uint64) manifest.Extent { return manifest.Extent{Length: length} }

// nameOf is nil for the name of a top, as the encoding wants it.
func nameOf(name string) []byte { return append([]byte(nil), name...) }

func (f *forger) file(name string, extents ...manifest.Extent) manifest.Entry {
	e := manifest.Entry{Name: nameOf(name), Type: manifest.File, Mode: 0o644, Extents: extents}
	for _, x := range extents {
		e.Size += x.Length
	}
	return e
}

// paged is file with the extents on pages of so many.
func (f *forger) paged(name string, per int, extents ...manifest.Extent) manifest.Entry {
	f.tb.Helper()
	e := f.file(name, extents...)
	e.Extents = nil
	for ; len(extents) > 0; extents = extents[min(per, len(extents)):] {
		list := extents[:min(per, len(extents))]
		ref := manifest.ExtentRef{Page: encode(f, &manifest.ExtentPage{Extents: list}), Count: uint64(len(list))}
		for _, x := range list {
			ref.Length += x.Length
		}
		e.Pages = append(e.Pages, ref)
	}
	return e
}

// dir makes a directory of entries in order of name.
func (f *forger) dir(name string, entries ...manifest.Entry) manifest.Entry {
	f.tb.Helper()
	f.count(entries...)
	node := encode(f, &manifest.Node{Entries: entries})
	return manifest.Entry{Name: nameOf(name), Type: manifest.Dir, Mode: 0o755, Node: &node}
}

// pagedDir is dir with pages of so many entries.
func (f *forger) pagedDir(name string, per int, entries ...manifest.Entry) manifest.Entry {
	f.tb.Helper()
	f.count(entries...)
	var refs []manifest.NodeRef
	for ; len(entries) > 0; entries = entries[min(per, len(entries)):] {
		list := entries[:min(per, len(entries))]
		page := encode(f, &manifest.Node{Entries: list})
		refs = append(refs, manifest.NodeRef{Page: page, First: list[0].Name, Count: uint64(len(list))})
	}
	node := encode(f, &manifest.Node{Pages: refs})
	return manifest.Entry{Name: nameOf(name), Type: manifest.Dir, Mode: 0o755, Node: &node}
}

// count adds entries to the statistics.
func (f *forger) count(entries ...manifest.Entry) {
	for _, e := range entries {
		switch e.Type {
		case manifest.File:
			f.stats.Files++
			if e.Link == nil || !f.groups[string(e.Link)] {
				f.stats.Bytes += e.Size
			}
			f.groups[string(e.Link)] = true
		case manifest.Dir:
			f.stats.Dirs++
		default:
			f.stats.Others++
		}
	}
}

// root stores the root over a top, after change has made it lie, and returns its ID.
func (f *forger) root(top manifest.Entry, change func(*manifest.Root)) block.ID {
	f.tb.Helper()
	f.count(top)
	root := &manifest.Root{Kind: manifest.Kind, Version: manifest.Version, Tree: top, Stats: f.stats}
	root.Stats.Nodes, root.Stats.Chunks, root.Stats.ChunkBytes = uint64(len(f.nodes)), uint64(len(f.chunks)), 0
	for _, r := range f.chunks {
		root.Stats.ChunkBytes += uint64(r.size)
	}
	const perPage = 3 // so that there are several
	for list := slices.Concat(f.nodes, f.chunks); len(list) > 0; list = list[min(perPage, len(list)):] {
		page := new(manifest.IndexPage)
		for _, r := range list[:min(perPage, len(list))] {
			page.Records = manifest.AppendRecord(page.Records, r.id, r.size)
		}
		b, err := manifest.Encode(page)
		if err != nil {
			f.tb.Fatal(err)
		}
		root.Index = append(root.Index, manifest.IndexRef{Page: manifest.LinkTo(f.store.Put(b)), Count: uint64(page.Len())})
	}
	if change != nil {
		change(root)
	}
	b, err := manifest.Encode(root)
	if err != nil {
		f.tb.Fatal(err)
	}
	return f.store.Put(b)
}
