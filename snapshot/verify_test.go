package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/snapshot/snaptest"
)

// sample makes a snapshot with pages of everything, after lie has changed what it is made
// of or what the root says of it.
func sample(t *testing.T, store *snaptest.Store, lie lie) block.ID {
	t.Helper()
	f := newForger(t, store)
	linked := func(name string) manifest.Entry {
		e := f.file(name, f.extent([]byte("linked"), 0, 6))
		e.Link = []byte("12345678")
		return e
	}
	p := &parts{
		first: linked("first"), further: linked("further"),
		paged: f.paged("paged", 2, f.extent([]byte("ten bytes."), 2, 8), hole(1<<30), f.extent([]byte("second"), 0, 3)),
		inner: f.pagedDir("inner", 2, fifos(5)...),
	}
	if lie.parts != nil {
		lie.parts(f, p)
	}
	top := f.dir("", p.first, p.further, p.inner, p.paged)
	if lie.index != nil {
		lie.index(f)
	}
	return f.root(top, lie.root)
}

// parts are what the sample is made of.
type parts struct{ first, further, inner, paged manifest.Entry }

// lie is what a forged snapshot is untrue about.
type lie struct {
	parts func(*forger, *parts)
	index func(*forger)
	root  func(*manifest.Root)
}

func fifos(n int) []manifest.Entry {
	list := make([]manifest.Entry, n)
	for i := range list {
		list[i] = manifest.Entry{Name: fmt.Appendf(nil, "%05d", 2*i), Type: manifest.Fifo, Mode: 0o600}
	}
	return list
}

// TestVerifyHonest finds nothing wrong with what is right.
func TestVerifyHonest(t *testing.T) {
	store := snaptest.NewStore()
	id := sample(t, store, lie{})
	var last snapshot.Progress
	res, err := snapshot.Verify(t.Context(), store, id, snapshot.VerifyOptions{ReadData: true, Progress: func(p snapshot.Progress) { last = p }})
	if err != nil || len(res.Problems) > 0 {
		t.Fatal(err, res.Problems)
	}
	// The top, a directory of three pages, two pages of extents; three chunks.
	if res.Nodes != 7 || res.Chunks != 3 || res.Bytes != 22 || last.Bytes != 22 {
		t.Errorf("%+v, and a last progress of %+v", res, last)
	}
	if res, err := snapshot.Verify(t.Context(), store, id, snapshot.VerifyOptions{}); err != nil || res.Bytes != 0 {
		t.Errorf("without the data: %+v, %v", res, err)
	}
}

// lies are all that Verify refuses, with what it says then.
var lies = map[string]struct {
	lie
	says string
}{
	"a node is not in the index":                 {lie{index: func(f *forger) { f.nodes = f.nodes[1:] }}, "the index says 0"},
	"a chunk is not in the index":                {lie{index: func(f *forger) { f.chunks = f.chunks[1:] }}, "is not in the index"},
	"a chunk too many":                           {lie{index: func(f *forger) { f.extent([]byte("another"), 0, 7) }}, "the index lists 11 blocks, the tree uses 10"},
	"a node too many":                            {lie{index: func(f *forger) { encode(f, &manifest.Node{}) }}, "the index lists 11 blocks, the tree uses 10"},
	"a node twice":                               {lie{index: func(f *forger) { f.nodes = append(f.nodes, f.nodes[0]) }}, "in the index twice"},
	"a chunk twice":                              {lie{index: func(f *forger) { f.chunks = append(f.chunks, f.chunks[0]) }}, "in the index twice"},
	"a node is larger":                           {lie{index: func(f *forger) { f.nodes[0].size-- }}, "the index says"},
	"a node is smaller":                          {lie{index: func(f *forger) { f.nodes[0].size++ }}, "the index says"},
	"a chunk is smaller than what is used of it": {lie{index: func(f *forger) { f.chunks[1].size = 9 }}, "8 bytes at offset 2 of chunk"},
	"a chunk among the nodes":                    {lie{index: func(f *forger) { f.nodes[0], f.chunks[0] = f.chunks[0], f.nodes[0] }}, "a node after chunks"},
	"nodes and chunks are counted wrongly":       {lie{root: func(r *manifest.Root) { r.Stats.Nodes++; r.Stats.Chunks-- }}, "index of 7 nodes and 3 chunks"},
	"the bytes of chunks are more":               {lie{root: func(r *manifest.Root) { r.Stats.ChunkBytes-- }}, "the root says 7, 3 and 21"},
	"the bytes of chunks are less":               {lie{root: func(r *manifest.Root) { r.Stats.ChunkBytes++ }}, "the root says 7, 3 and 23"},
	"a page of the index is shorter":             {lie{root: func(r *manifest.Root) { r.Index[0].Count++; r.Index = r.Index[:3] }}, "index records, the root says 4"},
	"a page of the index is longer":              {lie{root: func(r *manifest.Root) { r.Index[0].Count--; r.Index[3].Count++ }}, "index records, the root says 2"},

	"fewer files":       {lie{root: func(r *manifest.Root) { r.Stats.Files++ }}, "the tree has 3 files"},
	"fewer directories": {lie{root: func(r *manifest.Root) { r.Stats.Dirs++ }}, "2 directories"},
	"fewer others":      {lie{root: func(r *manifest.Root) { r.Stats.Others++ }}, "5 others"},
	"fewer bytes":       {lie{root: func(r *manifest.Root) { r.Stats.Bytes++ }}, "and 1073741841 bytes, the root says"},
	"more files":        {lie{root: func(r *manifest.Root) { r.Stats.Files-- }}, "holds more than the root says: 2 files"},
	"more directories":  {lie{root: func(r *manifest.Root) { r.Stats.Dirs-- }}, "holds more than the root says: 3 files, 1 dir"},
	"more others":       {lie{root: func(r *manifest.Root) { r.Stats.Others-- }}, "4 others"},
	"more bytes":        {lie{root: func(r *manifest.Root) { r.Stats.Bytes-- }}, "1073741840 bytes"},

	"a page with another first name": {ofPages(func(f *forger, n *manifest.Node) { n.Pages[1].First = []byte("00003") }), `begins with "00004", referred to with "00003"`},
	"a page with more entries":       {ofPages(func(f *forger, n *manifest.Node) { n.Pages[1].Count-- }), "a page of 2 entries"},
	"a page with fewer entries":      {ofPages(func(f *forger, n *manifest.Node) { n.Pages[1].Count++ }), "a page of 2 entries"},
	"a page of pages": {ofPages(func(f *forger, n *manifest.Node) {
		n.Pages[1].Page = encode(f, &manifest.Node{Pages: n.Pages[1:2:2]})
	}), "a page of 0 entries and 1 pages"},
	"a page that goes back": {ofPages(func(f *forger, n *manifest.Node) {
		list := fifos(4)
		n.Pages[0] = manifest.NodeRef{Page: encode(f, &manifest.Node{Entries: []manifest.Entry{list[0], list[3]}}), First: list[0].Name, Count: 2}
	}), `name "00004" after "00006"`},

	"a page with more extents":  {lie{parts: func(_ *forger, p *parts) { p.paged.Pages[0].Count-- }}, "2 extents of 1073741832 bytes, referred to with 1"},
	"a page with fewer extents": {lie{parts: func(_ *forger, p *parts) { p.paged.Pages[0].Count++ }}, "2 extents of 1073741832 bytes, referred to with 3"},
	"pages of other lengths": {lie{parts: func(_ *forger, p *parts) {
		p.paged.Pages[0].Length--
		p.paged.Pages[1].Length++
	}}, "2 extents of 1073741832 bytes, referred to with 2 of 1073741831"},

	"a hard link with other content": {lie{parts: func(f *forger, p *parts) {
		p.further.Extents = []manifest.Extent{f.extent([]byte("LINKED"), 0, 6)}
	}}, "than the hard link's first name"},
	"a hard link with another mode": {lie{parts: func(_ *forger, p *parts) { p.further.Mode = 0o600 }}, "than the hard link's first name"},
	"a hard link with another time": {lie{parts: func(_ *forger, p *parts) { p.further.ModTime.Nsec = 1 }}, "than the hard link's first name"},
	"a hard link of another type": {lie{parts: func(_ *forger, p *parts) {
		p.further = manifest.Entry{Name: p.further.Name, Type: manifest.Fifo, Link: p.further.Link}
	}}, "than the hard link's first name"},
}

// ofPages is a lie in the node of a paged directory.
func ofPages(change func(*forger, *manifest.Node)) lie {
	return lie{parts: func(f *forger, p *parts) {
		b, err := f.store.Get(f.tb.Context(), p.inner.Node.ID, nil)
		if err != nil {
			f.tb.Fatal(err)
		}
		node := new(manifest.Node)
		if err := manifest.Decode(b, node); err != nil {
			f.tb.Fatal(err)
		}
		change(f, node)
		link := encode(f, node)
		p.inner.Node = &link
	}}
}

// TestVerifyRefuses holds Verify against each lie, and looks at its reason: a lie that is
// refused for something else proves nothing about the rule.
func TestVerifyRefuses(t *testing.T) {
	for name, tc := range lies {
		t.Run(name, func(t *testing.T) {
			store := snaptest.NewStore()
			id := sample(t, store, tc.lie)
			_, err := snapshot.Verify(t.Context(), store, id, snapshot.VerifyOptions{})
			if !errors.Is(err, snapshot.ErrManifest) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got  %v\nwant one that says %q", err, tc.says)
			}
		})
	}
}

// TestVerifyRefusesOtherBlocks takes no chunk and no other block of a manifest for a root.
func TestVerifyRefusesOtherBlocks(t *testing.T) {
	store := snaptest.NewStore()
	f := newForger(t, store)
	chunk := f.extent([]byte("chunk"), 0, 5)
	top := f.dir("", f.file("a", chunk))
	for name, id := range map[string]block.ID{"chunk": chunk.Chunk.ID, "node": top.Node.ID} {
		if _, err := snapshot.Verify(t.Context(), store, id, snapshot.VerifyOptions{}); !errors.Is(err, snapshot.ErrManifest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVerifyMissing tells a manifest that cannot be read, which is an error, from chunks
// that cannot be, which are problems. Neither is a manifest that is not valid.
func TestVerifyMissing(t *testing.T) {
	honest := snaptest.NewStore()
	id := sample(t, honest, lie{})
	var chunks int
	for missing := range honest.Blocks {
		store := snaptest.NewStore()
		for other, data := range honest.Blocks {
			if other != missing {
				store.Blocks[other] = data
			}
		}
		res, err := snapshot.Verify(t.Context(), store, id, snapshot.VerifyOptions{ReadData: true})
		if missing.Codec() == block.DagCBOR {
			if !errors.Is(err, block.ErrNotFound) || errors.Is(err, snapshot.ErrManifest) {
				t.Errorf("a manifest without %s: %v", missing, err)
			}
			continue
		}
		chunks++
		if err != nil || len(res.Problems) != 1 || res.Problems[0].Path != missing.String() || !errors.Is(res.Problems[0], block.ErrNotFound) {
			t.Errorf("without chunk %s: %+v, %v", missing, res, err)
		}
	}
	if chunks != 3 {
		t.Errorf("%d chunks", chunks)
	}
}

// TestVerifyChunkSize finds a chunk that has more bytes than the index says, all that are
// used among them.
func TestVerifyChunkSize(t *testing.T) {
	store := snaptest.NewStore()
	var chunk block.ID
	id := sample(t, store, lie{index: func(f *forger) { f.chunks[2].size--; chunk = f.chunks[2].id }})
	res, err := snapshot.Verify(t.Context(), store, id, snapshot.VerifyOptions{ReadData: true})
	if err != nil || len(res.Problems) != 1 || res.Problems[0].Path != chunk.String() || !errors.Is(res.Problems[0], snapshot.ErrManifest) {
		t.Errorf("%+v, %v", res, err)
	}
	if res.Bytes != 16 {
		t.Errorf("%d bytes of good chunks", res.Bytes)
	}
}

// TestVerifyManyProblems lists no more than a thousand chunks.
func TestVerifyManyProblems(t *testing.T) {
	store := snaptest.NewStore()
	f := newForger(t, store)
	var list []manifest.Extent
	for i := range 1100 {
		list = append(list, f.extent(fmt.Appendf(nil, "%d", i), 0, 1))
	}
	id := f.root(f.dir("", f.paged("file", 1000, list...)), nil)
	for _, r := range f.chunks {
		delete(store.Blocks, r.id)
	}
	res, err := snapshot.Verify(t.Context(), store, id, snapshot.VerifyOptions{ReadData: true})
	if err != nil || len(res.Problems) != 1000 {
		t.Errorf("%d problems, %v", len(res.Problems), err)
	}
}

// cancelling ends its context when a chunk is asked for.
type cancelling struct {
	snapshot.Source
	cancel context.CancelFunc
}

func (s cancelling) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	if id.Codec() == block.Raw {
		s.cancel()
		return block.Block{}, ctx.Err()
	}
	return s.Source.Get(ctx, id, buf)
}

// TestVerifyCancelled does not take chunks that were not looked at for bad ones.
func TestVerifyCancelled(t *testing.T) {
	store := snaptest.NewStore()
	id := sample(t, store, lie{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err := snapshot.Verify(ctx, cancelling{store, cancel}, id, snapshot.VerifyOptions{ReadData: true})
	if !errors.Is(err, context.Canceled) || len(res.Problems) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
}
