package manifest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/ipld/go-ipld-prime"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/node/basicnode"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

var (
	chunk = manifest.LinkTo(block.New(block.Raw, []byte("chunk")).ID())
	node  = manifest.LinkTo(block.New(block.DagCBOR, []byte{0xa0}).ID())
)

func file(name string) manifest.Entry {
	return manifest.Entry{
		Name: []byte(name), Type: manifest.File, Mode: 0o644, UID: 1000, GID: 1000, User: "me", Group: "us",
		ModTime: manifest.Time{Sec: -5, Nsec: 999_999_999}, Size: 30,
		Xattrs:  []manifest.Xattr{{Name: []byte("user.a"), Value: []byte("1")}, {Name: []byte("user.b")}},
		Extents: []manifest.Extent{{Chunk: chunk, Offset: 5, Length: 10}, {Length: 20}},
		Link:    []byte("12345678"),
	}
}

func dir() *manifest.Node {
	return &manifest.Node{Entries: []manifest.Entry{
		{Name: []byte("\xff\n"[1:]), Type: manifest.Symlink, Mode: 0o777, Target: []byte("../x\xfe")},
		{Name: []byte("dev"), Type: manifest.BlockDevice, Device: []uint64{8, 1}},
		file("file"),
		{Name: []byte("sub"), Type: manifest.Dir, Mode: 0o1755, Node: &node},
	}}
}

func root() *manifest.Root {
	return &manifest.Root{
		Kind: manifest.Kind, Version: manifest.Version, Created: manifest.Time{Sec: 1, Nsec: 2},
		Source: manifest.Source{Host: "h", Path: []byte("/p"), User: "u"}, Parent: node.ID.Bytes(),
		Label: "label", Tags: []string{"a", "b"}, Chunker: manifest.Chunker{Algorithm: "x", Min: 1, Normal: 2, Max: 3},
		Stats: manifest.Stats{Nodes: 1, Chunks: 1, ChunkBytes: 5},
		Tree:  manifest.Entry{Type: manifest.Dir, Mode: 0o755, Node: &node},
		Index: []manifest.IndexRef{{Page: node, Count: 2}},
	}
}

func page() *manifest.IndexPage {
	return &manifest.IndexPage{Records: manifest.AppendRecord(manifest.AppendRecord(nil, node.ID, 1), chunk.ID, 5)}
}

func extents() *manifest.ExtentPage { return &manifest.ExtentPage{Extents: file("x").Extents} }

// blocks are one of each kind.
func blocks(tb testing.TB) map[string]block.Block {
	tb.Helper()
	out := make(map[string]block.Block)
	put := func(name string, b block.Block, err error) {
		if err != nil {
			tb.Fatal(name, err)
		}
		out[name] = b
	}
	b, err := manifest.Encode(root())
	put("root", b, err)
	b, err = manifest.Encode(dir())
	put("node", b, err)
	b, err = manifest.Encode(&manifest.Node{Pages: []manifest.NodeRef{{Page: node, First: []byte("a"), Count: 3}}})
	put("pages", b, err)
	b, err = manifest.Encode(&manifest.Node{})
	put("empty", b, err)
	b, err = manifest.Encode(page())
	put("index", b, err)
	b, err = manifest.Encode(extents())
	put("extents", b, err)
	return out
}

// decodeAny tries all kinds, and says whether one fits and encodes to the same bytes.
func decodeAny(t *testing.T, b block.Block) (fits bool) {
	t.Helper()
	again := func(out block.Block, err error) {
		t.Helper()
		if fits = true; err != nil || out.ID() != b.ID() {
			t.Errorf("encodes to % x (%v), decoded from % x", out.Data(), err, b.Data())
		}
	}
	var r manifest.Root
	if manifest.Decode(b, &r) == nil {
		again(manifest.Encode(&r))
	}
	var n manifest.Node
	if manifest.Decode(b, &n) == nil {
		again(manifest.Encode(&n))
	}
	var p manifest.IndexPage
	if manifest.Decode(b, &p) == nil {
		again(manifest.Encode(&p))
	}
	var e manifest.ExtentPage
	if manifest.Decode(b, &e) == nil {
		again(manifest.Encode(&e))
	}
	return fits
}

// TestReferenceDecoder reads each kind of block with the reference implementation of
// dag-cbor in its strict mode, which must agree that the encoding is canonical.
func TestReferenceDecoder(t *testing.T) {
	for name, b := range blocks(t) {
		if !decodeAny(t, b) {
			t.Errorf("%s: not decoded", name)
		}
		if again := reference(t, b.Data()); !bytes.Equal(again, b.Data()) {
			t.Errorf("%s: the reference encodes % x, we % x", name, again, b.Data())
		}
	}
}

func reference(t *testing.T, data []byte) []byte {
	t.Helper()
	n, err := ipld.DecodeUsingPrototype(data, dagcbor.Decode, basicnode.Prototype.Any)
	if err != nil {
		t.Fatalf("the reference refuses % x: %v", data, err)
	}
	out, err := ipld.Encode(n, dagcbor.Encode)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestHostileNodes(t *testing.T) {
	for name, change := range map[string]func(e *manifest.Entry){
		"name ..":           func(e *manifest.Entry) { e.Name = []byte("..") },
		"name .":            func(e *manifest.Entry) { e.Name = []byte(".") },
		"name with slash":   func(e *manifest.Entry) { e.Name = []byte("a/b") },
		"name with NUL":     func(e *manifest.Entry) { e.Name = []byte("a\x00") },
		"no name":           func(e *manifest.Entry) { e.Name = nil },
		"name of 256 bytes": func(e *manifest.Entry) { e.Name = bytes.Repeat([]byte("x"), 256) },
		"name of 64 KiB":    func(e *manifest.Entry) { e.Name = bytes.Repeat([]byte("x"), 65536) },
		"type 0":            func(e *manifest.Entry) { e.Type = 0 },
		"type 7":            func(e *manifest.Entry) { e.Type = 7 },
		"mode":              func(e *manifest.Entry) { e.Mode = 0o10000 },
		"uid":               func(e *manifest.Entry) { e.UID = 1<<32 - 1 },
		"nanoseconds":       func(e *manifest.Entry) { e.ModTime.Nsec = 1e9 },
		"user not UTF-8":    func(e *manifest.Entry) { e.User = "\xff" },
		"size too large":    func(e *manifest.Entry) { e.Size = 31 },
		"size too small":    func(e *manifest.Entry) { e.Size = 29 },
		"size overflows":    func(e *manifest.Entry) { e.Size, e.Extents[1].Length = 1<<63, 1<<63-10 },
		"sum wraps":         func(e *manifest.Entry) { e.Size, e.Extents[1].Length = 9, 1<<64-1 },
		"empty extent":      func(e *manifest.Entry) { e.Extents[0].Length, e.Size = 0, 20 },
		"extent beyond":     func(e *manifest.Entry) { e.Extents[0].Offset = block.MaxSize },
		"offset wraps":      func(e *manifest.Entry) { e.Extents[0].Offset = 1<<64 - 5 },
		"hole with offset":  func(e *manifest.Entry) { e.Extents[1].Offset = 1 },
		"two holes":         func(e *manifest.Entry) { e.Extents[0] = manifest.Extent{Length: 10} },
		"chunk is a node":   func(e *manifest.Entry) { e.Extents[0].Chunk = node },
		"extents and pages": func(e *manifest.Entry) { e.Pages = []manifest.ExtentRef{{Page: node, Count: 1, Length: 1}} },
		"65 extents":        func(e *manifest.Entry) { e.Extents = make([]manifest.Extent, 65) },
		"page counts": func(e *manifest.Entry) {
			e.Extents, e.Pages = nil, []manifest.ExtentRef{{Page: node, Count: 31, Length: 30}}
		},
		"page is raw": func(e *manifest.Entry) {
			e.Extents, e.Pages = nil, []manifest.ExtentRef{{Page: chunk, Count: 1, Length: 30}}
		},
		"file with node":   func(e *manifest.Entry) { e.Node = &node },
		"file with target": func(e *manifest.Entry) { e.Target = []byte("x") },
		"file with device": func(e *manifest.Entry) { e.Device = []uint64{1, 2} },
		"link group":       func(e *manifest.Entry) { e.Link = []byte("short") },
		"xattrs unsorted":  func(e *manifest.Entry) { e.Xattrs[1].Name = []byte("a") },
		"xattrs twice":     func(e *manifest.Entry) { e.Xattrs[1].Name = e.Xattrs[0].Name },
		"xattr without":    func(e *manifest.Entry) { e.Xattrs[0].Name = nil },
		"dir with content": func(e *manifest.Entry) { e.Type, e.Node, e.Link = manifest.Dir, &node, nil },
		"dir without node": func(e *manifest.Entry) { *e = manifest.Entry{Name: e.Name, Type: manifest.Dir} },
		"dir of a chunk":   func(e *manifest.Entry) { *e = manifest.Entry{Name: e.Name, Type: manifest.Dir, Node: &chunk} },
		"dir with link": func(e *manifest.Entry) {
			*e = manifest.Entry{Name: e.Name, Type: manifest.Dir, Node: &node, Link: e.Link}
		},
		"symlink to NUL": func(e *manifest.Entry) {
			*e = manifest.Entry{Name: e.Name, Type: manifest.Symlink, Target: []byte("\x00")}
		},
		"symlink to naught": func(e *manifest.Entry) { *e = manifest.Entry{Name: e.Name, Type: manifest.Symlink} },
		"device of one": func(e *manifest.Entry) {
			*e = manifest.Entry{Name: e.Name, Type: manifest.CharDevice, Device: []uint64{1}}
		},
		"device too large": func(e *manifest.Entry) {
			*e = manifest.Entry{Name: e.Name, Type: manifest.CharDevice, Device: []uint64{1, 1 << 32}}
		},
		"unsorted": func(e *manifest.Entry) { e.Name = []byte("z") },
		"twice":    func(e *manifest.Entry) { e.Name = []byte("sub") },
	} {
		t.Run(name, func(t *testing.T) {
			n := dir()
			change(&n.Entries[2])
			if _, err := manifest.Encode(n); !errors.Is(err, manifest.ErrInvalid) {
				t.Fatalf("encoded: %v", err)
			}
			var buf bytes.Buffer
			if err := n.MarshalCBOR(&buf); err != nil {
				return // beyond what can be written at all
			}
			var got manifest.Node
			err := manifest.Decode(block.New(block.DagCBOR, buf.Bytes()), &got)
			if !errors.Is(err, manifest.ErrInvalid) || !strings.Contains(err.Error(), "bafy") {
				t.Fatalf("decoded: %v", err)
			}
			if len(err.Error()) > 2000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestHostileRoots(t *testing.T) {
	for name, change := range map[string]func(r *manifest.Root){
		"kind":               func(r *manifest.Root) { r.Kind = "other" },
		"version":            func(r *manifest.Root) { r.Version = 2 },
		"statistic":          func(r *manifest.Root) { r.Stats.Bytes = 1 << 63 },
		"statistics wrap":    func(r *manifest.Root) { r.Stats.Nodes, r.Stats.Chunks = 1<<64-1, 3 },
		"index too short":    func(r *manifest.Root) { r.Index[0].Count = 1 },
		"index page empty":   func(r *manifest.Root) { r.Index = append(r.Index, manifest.IndexRef{Page: node}) },
		"index page large":   func(r *manifest.Root) { r.Index[0].Count = 1 << 40 },
		"index page is raw":  func(r *manifest.Root) { r.Index[0].Page = chunk },
		"chunk bytes":        func(r *manifest.Root) { r.Stats.ChunkBytes = block.MaxSize + 1 },
		"parent":             func(r *manifest.Root) { r.Parent = []byte{1, 2} },
		"tree without node":  func(r *manifest.Root) { r.Tree.Node = nil },
		"tree named ..":      func(r *manifest.Root) { r.Tree.Name = []byte("..") },
		"label not UTF-8":    func(r *manifest.Root) { r.Label = "\xff" },
		"created":            func(r *manifest.Root) { r.Created.Nsec = 1e9 },
		"many index pages":   func(r *manifest.Root) { r.Index = make([]manifest.IndexRef, manifest.MaxIndexPages+1) },
		"long source path":   func(r *manifest.Root) { r.Source.Path = make([]byte, manifest.MaxPath+1) },
		"label of 64 KiB":    func(r *manifest.Root) { r.Label = strings.Repeat("x", 65536) },
		"tag of another era": func(r *manifest.Root) { r.Tags = []string{strings.Repeat("x", manifest.MaxText+1)} },
	} {
		t.Run(name, func(t *testing.T) {
			r := root()
			change(r)
			if _, err := manifest.Encode(r); !errors.Is(err, manifest.ErrInvalid) {
				t.Fatalf("encoded: %v", err)
			}
			var buf bytes.Buffer
			if r.MarshalCBOR(&buf) != nil {
				return
			}
			if err := manifest.Decode(block.New(block.DagCBOR, buf.Bytes()), new(manifest.Root)); !errors.Is(err, manifest.ErrInvalid) {
				t.Fatalf("decoded: %v", err)
			}
		})
	}
}

// TestNotCanonical changes the encoding and not the value.
func TestNotCanonical(t *testing.T) {
	empty := []byte{0xa0}
	for name, data := range map[string][]byte{
		"trailing byte":       append(bytes.Clone(empty), 0),
		"indefinite map":      {0xbf, 0xff},
		"long length":         {0xb8, 0},
		"unknown key":         {0xa1, 0x61, 'z', 0},
		"empty list of pages": {0xa1, 0x61, 'p', 0x80},
		"null entries":        {0xa1, 0x61, 'e', 0xf6},
		"key twice":           {0xa2, 0x61, 'e', 0x80, 0x61, 'e', 0x80},
		"huge list":           {0xa1, 0x61, 'e', 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"list without end":    {0xa1, 0x61, 'e', 0x99, 0x40, 0x00},
		"nothing":             {},
		"deep":                bytes.Repeat([]byte{0x81}, 1<<20),
		"deep unknown":        append([]byte{0xa1, 0x61, 'z'}, bytes.Repeat([]byte{0x81}, 1<<20)...),
	} {
		if err := manifest.Decode(block.New(block.DagCBOR, data), new(manifest.Node)); !errors.Is(err, manifest.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := manifest.Decode(block.New(block.Raw, empty), new(manifest.Node)); !errors.Is(err, manifest.ErrInvalid) {
		t.Errorf("raw block: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range blocks(f) {
		f.Add(b.Data())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := block.New(block.DagCBOR, data)
		if !decodeAny(t, b) {
			return
		}
		if again := reference(t, data); !bytes.Equal(again, data) {
			t.Errorf("the reference encodes % x, accepted was % x", again, data)
		}
	})
}

func BenchmarkDecodeNode(b *testing.B) {
	n := &manifest.Node{}
	for i := range 1000 {
		e := file("file" + string([]byte{byte('a' + i/100), byte('a' + i/10%10), byte('a' + i%10)}))
		n.Entries = append(n.Entries, e)
	}
	blk, err := manifest.Encode(n)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(blk.Len()))
	b.Run("strict", func(b *testing.B) {
		for b.Loop() {
			if err := manifest.Decode(blk, new(manifest.Node)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := manifest.Encode(n); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("reference", func(b *testing.B) {
		for b.Loop() {
			if _, err := ipld.DecodeUsingPrototype(blk.Data(), dagcbor.Decode, basicnode.Prototype.Any); err != nil {
				b.Fatal(err)
			}
		}
	})
}
