package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/testnet/cluster"
)

// forger makes snapshots that lie, out of blocks that are sound.
type forger struct {
	t      *testing.T
	blocks []block.Block
}

func (f *forger) put(b block.Block) manifest.Link {
	f.blocks = append(f.blocks, b)
	return manifest.LinkTo(b.ID())
}

// node encodes a part of a manifest.
func encode[T any, P manifest.Value[T]](t *testing.T, v P) block.Block {
	t.Helper()
	b, err := manifest.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// file is a file of one chunk; length and offset may lie.
func (f *forger) file(name string, offset, length uint64) manifest.Entry {
	chunk := f.put(block.New(block.Raw, []byte("ten bytes.")))
	return manifest.Entry{
		Name: []byte(name), Type: manifest.File, Mode: 0o644, Size: length,
		Extents: []manifest.Extent{{Chunk: chunk, Offset: offset, Length: length}},
	}
}

// dir is a directory of entries.
func (f *forger) dir(name string, entries ...manifest.Entry) manifest.Entry {
	return f.over(name, encode(f.t, &manifest.Node{Entries: entries}))
}

// over is a directory with a node that is given.
func (f *forger) over(name string, node block.Block) manifest.Entry {
	link := f.put(node)
	e := manifest.Entry{Type: manifest.Dir, Mode: 0o755, Node: &link}
	if name != "" { // the top has none
		e.Name = []byte(name)
	}
	return e
}

// root completes a snapshot with an honest index, unless change makes the root lie.
func (f *forger) root(top manifest.Entry, change func(*manifest.Root)) block.ID {
	f.t.Helper()
	r := &manifest.Root{
		Kind: manifest.Kind, Version: manifest.Version, Tree: top,
		Stats: manifest.Stats{Files: 100, Dirs: 100, Others: 100, Bytes: 1 << 30},
	}
	seen := map[block.ID]bool{}
	var records []byte
	list := func(codec block.Codec) (n, size uint64) {
		for _, b := range f.blocks {
			if id := b.ID(); id.Codec() == codec && !seen[id] {
				seen[id] = true
				records = manifest.AppendRecord(records, id, b.Len())
				n, size = n+1, size+uint64(b.Len())
			}
		}
		return n, size
	}
	r.Stats.Nodes, _ = list(block.DagCBOR)
	r.Stats.Chunks, r.Stats.ChunkBytes = list(block.Raw)
	page := f.put(encode(f.t, &manifest.IndexPage{Records: records}))
	r.Index = []manifest.IndexRef{{Page: page, Count: uint64(len(seen))}}
	if change != nil {
		change(r)
	}
	b := encode(f.t, r)
	f.put(b)
	return b.ID()
}

// renamed is a node of one entry whose name the codec would refuse: it is encoded
// with an honest name first.
func (f *forger) renamed(e manifest.Entry, name string) block.Block {
	f.t.Helper()
	honest := strings.Repeat("x", min(len(name), manifest.MaxName))
	e.Name = []byte(honest)
	raw := encode(f.t, &manifest.Node{Entries: []manifest.Entry{e}}).Data()
	was, is := cborBytes(honest), cborBytes(name)
	if bytes.Count(raw, was) != 1 {
		f.t.Fatalf("the name is not once in the node")
	}
	return block.New(block.DagCBOR, bytes.Replace(raw, was, is, 1))
}

// cborBytes encodes a byte string in its shortest form.
func cborBytes(s string) []byte {
	n := len(s)
	switch {
	case n < 24:
		return append([]byte{0x40 | byte(n)}, s...)
	case n < 1<<8:
		return append([]byte{0x58, byte(n)}, s...)
	default:
		return append([]byte{0x5a, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, s...)
	}
}

// lie is a snapshot that no program may follow.
type lie struct {
	name string
	make func(f *forger) block.ID
	want string // the rule that is named
	flat bool   // it lies in the root or the index, which a fetch looks at
	// unread is a lie that who lists or reads a file does not meet.
	unread bool
}

var lies = []lie{
	{name: "a length", want: "chunk|extent", unread: true, make: func(f *forger) block.ID { return f.root(f.dir("", f.file("victim", 5, 6)), nil) }},
	{name: "two dots", want: `name "\.\."`, make: func(f *forger) block.ID { return f.root(f.over("", f.renamed(f.file("", 0, 10), "..")), nil) }},
	{name: "a slash", want: "holds a slash", make: func(f *forger) block.ID {
		return f.root(f.over("", f.renamed(f.file("", 0, 10), "../outside")), nil)
	}},
	{name: "a directory of two dots", want: `name "\.\."`, make: func(f *forger) block.ID {
		return f.root(f.over("", f.renamed(f.dir("", f.file("outside", 0, 10)), "..")), nil)
	}},
	{name: "a NUL", want: "holds a NUL", make: func(f *forger) block.ID { return f.root(f.over("", f.renamed(f.file("", 0, 10), "a\x00b")), nil) }},
	{name: "64 KiB", want: "bytes|65536|long|maximum|too large", make: func(f *forger) block.ID {
		return f.root(f.over("", f.renamed(f.file("", 0, 10), strings.Repeat("n", 64<<10))), nil)
	}},
	{name: "depth", want: "deep|depth|level", make: func(f *forger) block.ID {
		e := f.dir("d", f.file("victim", 0, 10))
		for range manifest.MaxDepth + 1 {
			e = f.dir("d", e)
		}
		e.Name = nil
		return f.root(e, func(r *manifest.Root) { r.Stats.Dirs = 2 * manifest.MaxDepth })
	}},
	{name: "a bomb", want: "the root says|more", make: func(f *forger) block.ID {
		e := f.dir("a")
		for range 60 {
			other := e
			other.Name = []byte("b")
			e = f.dir("a", e, other)
		}
		e.Name = nil
		return f.root(e, nil)
	}},
	{name: "fewer files", want: "the root says|files|statistic", make: func(f *forger) block.ID {
		return f.root(f.dir("", f.file("a", 0, 10), f.file("b", 0, 10)), func(r *manifest.Root) { r.Stats.Files = 1 })
	}},
	{name: "records of the index", want: "index", flat: true, unread: true, make: func(f *forger) block.ID {
		return f.root(f.dir("", f.file("a", 0, 10)), func(r *manifest.Root) { r.Stats.Chunks++; r.Index[0].Count++ })
	}},
	{name: "bytes of the index", want: "index|the root says", flat: true, unread: true, make: func(f *forger) block.ID {
		return f.root(f.dir("", f.file("a", 0, 10)), func(r *manifest.Root) { r.Stats.ChunkBytes-- })
	}},
	{name: "no manifest", want: "invalid manifest|CBOR|cbor", flat: true, make: func(f *forger) block.ID {
		b := block.New(block.DagCBOR, []byte("neither CBOR nor a manifest"))
		f.put(b)
		return b.ID()
	}},
}

// give puts blocks into a daemon's store, as anybody with its token can.
func give(t *testing.T, n *cluster.Node, blocks []block.Block) {
	t.Helper()
	c, err := client.New(client.Options{Repo: n.Repo()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.OpenSession(t.Context(), blocksession.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, b := range blocks {
		if err := s.Add(t.Context(), b, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestLyingManifests restores, reads, verifies and fetches snapshots that lie, from
// the daemon that was given them and from one that meets them in the swarm.
func TestLyingManifests(t *testing.T) {
	t.Parallel()
	c := swarm(t)
	liar := start(t, c, "liar", nil)
	victim := start(t, c, "victim", nil, liar)
	for _, l := range lies {
		t.Run(l.name, func(t *testing.T) {
			f := &forger{t: t}
			cid := l.make(f).String()
			give(t, liar, f.blocks)
			if l.flat {
				// Who is asked does not serve what cannot be a snapshot.
				ask(t, victim, "snapshot", "fetch", cid, "--stall", "1s").ends(t, 14, cid, "1 asked", "does not have the")
				tryAll(t, liar, cid, l)
				return
			}
			tryAll(t, liar, cid, l)
			tryAll(t, victim, cid, l)
		})
	}
	// Neither of them has suffered.
	source := tree(t, 20, 3, 100)
	cid := create(t, liar, source).CID
	fetch(t, victim, cid)
	restore(t, victim, cid, filepath.Join(t.TempDir(), "target"), source)
}

// tryAll uses a snapshot that lies in every way: each ends with exit code 1, a block
// and the rule that it breaks, and nothing is written but the target.
func tryAll(t *testing.T, n *cluster.Node, cid string, l lie) {
	t.Helper()
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(outside, "target")
	for _, args := range [][]string{{"restore", cid, target}, {"verify", cid}, {"ls", "-R", cid}, {"cat", cid + "/victim"}} {
		if l.unread && (args[0] == "ls" || args[0] == "cat") {
			continue
		}
		a := ask(t, n, append([]string{"snapshot"}, args...)...)
		a.errs += a.out // where verify lists what is wrong
		if args[0] == "cat" {
			a.ends(t, 1)
			continue
		}
		a.ends(t, 1, `bafy|bafk`, l.want)
	}
	for _, name := range lines(t, outside) {
		if name != "target" {
			t.Errorf("the restore wrote %s outside its target", name)
		}
	}
	for _, name := range lines(t, target) {
		if name == "victim" || strings.HasPrefix(name, ".decube") {
			t.Errorf("the restore left %s", name)
		}
	}
}
