package create

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

func chunkRef(name string, size int) ref { return ref{block.New(block.Raw, []byte(name)).ID(), size} }

// contents are some that files have.
func contents() map[string]content {
	a, b := chunkRef("a", 100), chunkRef("b", 200)
	extent := func(r ref, offset, length uint64) manifest.Extent {
		return manifest.Extent{Chunk: manifest.LinkTo(r.id), Offset: offset, Length: length}
	}
	page := ref{block.New(block.DagCBOR, []byte("page")).ID(), 5000}
	return map[string]content{
		"none":     {},
		"in one":   {extents: []manifest.Extent{extent(a, 5, 10)}, chunks: []ref{a}},
		"hole":     {extents: []manifest.Extent{{Length: 1 << 40}}},
		"in turns": {extents: []manifest.Extent{extent(a, 0, 100), extent(b, 0, 200), extent(a, 0, 100)}, chunks: []ref{a, b, a}},
		"twice":    {extents: []manifest.Extent{extent(a, 0, 100), {Length: 7}, extent(a, 0, 100), extent(b, 0, 1)}, chunks: []ref{a, b}},
		"pages":    {pages: []manifest.ExtentRef{{Page: manifest.LinkTo(page.id), Count: 65, Length: 70}}, nodes: []ref{page}, chunks: []ref{a, b}},
	}
}

// TestRecordsComeBack sets records aside and takes them back, and cuts them short.
func TestRecordsComeBack(t *testing.T) {
	node := manifest.LinkTo(block.New(block.DagCBOR, []byte("node")).ID())
	var all []record
	for _, c := range contents() {
		st := fsys.Stat{Dev: 3, Ino: 1 << 60, Mode: unix.S_IFREG | 0o644, UID: 5, GID: 1 << 31, Size: 1 << 50, MSec: -7, MNsec: 8, CSec: 9, CNsec: 10}
		r := record{st: st, entry: entryOf("name", &st, newOwners()), content: c, seen: -5}
		r.entry.Xattrs = []manifest.Xattr{{Name: []byte("user.a"), Value: []byte("1")}, {Name: []byte("user.b"), Value: []byte{0}}}
		r.entry.Link = linkGroup("x")
		all = append(all, r)
		r.unsettled, r.partial, r.trusted, r.generation = true, true, true, fsys.Generation{Number: -1, Known: true}
		all = append(all, r)
	}
	all = append(all, record{entry: manifest.Entry{Name: []byte("dir"), Type: manifest.Dir, Node: &node}, st: fsys.Stat{Mode: unix.S_IFDIR}},
		record{entry: manifest.Entry{Name: []byte("link"), Type: manifest.Symlink, Target: []byte("\xfftarget")}, st: fsys.Stat{Mode: unix.S_IFLNK}})
	for i, r := range all {
		raw, err := r.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecord(raw)
		if err != nil || !reflect.DeepEqual(*got, r) {
			t.Errorf("record %d: %+v, want %+v: %v", i, got, r, err)
		}
		for n := range raw {
			if _, err := decodeRecord(raw[:n]); err == nil {
				t.Errorf("record %d: %d of %d bytes are one", i, n, len(raw))
			}
		}
		known := knownBytes(&r)
		name, k, err := decodeKnown(known)
		if err != nil || string(name) != string(r.entry.Name) || !reflect.DeepEqual(k.content, r.content) || !reflect.DeepEqual(k.xattrs, r.entry.Xattrs) ||
			k.trusted != r.trusted || !k.trusted && k.seen != r.seen || !k.same(&r.st) {
			t.Errorf("record %d: %q %+v: %v", i, name, k, err)
		}
		for n := range known {
			if _, _, err := decodeKnown(known[:n]); err == nil {
				t.Errorf("record %d: %d of %d bytes are known", i, n, len(known))
			}
		}
	}
}

func knownBytes(r *record) []byte {
	var e encoder
	e.known(r)
	return e.data
}

// TestLongKnown writes what is known of a file in pieces, and what it knows is the same.
func TestLongKnown(t *testing.T) {
	for _, chunks := range []int{0, 1, 1500, 1800, 20_000} { // 1,725 fill a piece
		r := record{entry: manifest.Entry{Name: []byte("long")}, content: content{chunks: make([]ref, chunks)}}
		for i := range r.content.chunks {
			r.content.chunks[i] = ref{block.New(block.Raw, binary.AppendUvarint(nil, uint64(i))).ID(), i}
		}
		var got bytes.Buffer
		w := cacheWriter{out: bufio.NewWriter(&got)}
		w.known(&r)
		if err := errors.Join(w.err, w.out.Flush()); err != nil {
			t.Fatal(err)
		}
		want := knownBytes(&r)
		if want = append(binary.AppendUvarint(nil, uint64(len(want))), want...); !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d chunks: %d bytes, want %d", chunks, got.Len(), len(want))
		}
		if cap(w.scratch) > 2*spillSize {
			t.Errorf("%d chunks: %d bytes are held", chunks, cap(w.scratch))
		}
	}
}

func TestEqualContents(t *testing.T) {
	for a, x := range contents() {
		for b, y := range contents() {
			if x.equal(&y) != (a == b) {
				t.Errorf("%s and %s: %v", a, b, a != b)
			}
		}
	}
}

// FuzzKnown reads what no cache has written.
func FuzzKnown(f *testing.F) {
	for _, c := range contents() {
		f.Add(knownBytes(&record{entry: manifest.Entry{Name: []byte("n")}, content: c}))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		name, k, err := decodeKnown(raw)
		if err != nil {
			return
		}
		r := record{entry: manifest.Entry{Name: name, Xattrs: k.xattrs}, st: k.st, trusted: k.trusted, seen: k.seen, content: k.content}
		again, back, err := decodeKnown(knownBytes(&r))
		if err != nil || fmt.Sprint(string(again), back) != fmt.Sprint(string(name), k) {
			t.Errorf("%+v became %+v: %v", k, back, err)
		}
	})
}
