package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/snapshot/snaptest"
)

// TestCatAnyRange compares what Cat writes with the same range of the file's bytes, over
// extents in the entry and on pages, holes and parts of chunks.
func TestCatAnyRange(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := snaptest.NewStore()
		f := newForger(t, store)
		var list []manifest.Extent
		var want []byte
		for range rapid.IntRange(0, 20).Draw(rt, "extents") {
			length := rapid.IntRange(1, 9).Draw(rt, "length")
			if len(list) > 0 && !list[len(list)-1].Hole() && rapid.Bool().Draw(rt, "hole") {
				list, want = append(list, hole(uint64(length))), append(want, make([]byte, length)...)
				continue
			}
			chunk := rapid.SliceOfN(rapid.ByteRange('a', 'z'), length, 30).Draw(rt, "chunk")
			offset := rapid.IntRange(0, len(chunk)-length).Draw(rt, "offset")
			list, want = append(list, f.extent(chunk, offset, length)), append(want, chunk[offset:offset+length]...)
		}
		file := f.file("file", list...)
		if per := rapid.IntRange(0, 4).Draw(rt, "per page"); per > 0 {
			file = f.paged("file", per, list...)
		}
		id := f.root(f.dir("", file), nil)
		edges := rapid.OneOf(rapid.Int64Range(0, int64(len(want))+2), rapid.SampledFrom([]int64{math.MaxInt64, math.MaxInt64 - 1}))
		offset, length := edges.Draw(rt, "from"), rapid.OneOf(edges, rapid.Int64Range(-2, 0)).Draw(rt, "bytes")
		want = want[min(offset, int64(len(want))):]
		if length >= 0 {
			want = want[:min(length, int64(len(want)))]
		}
		var got bytes.Buffer
		n, err := snapshot.Cat(context.Background(), store, id, "file", &got, offset, length)
		if err != nil || n != int64(got.Len()) || !bytes.Equal(got.Bytes(), want) {
			rt.Fatalf("%d bytes from %d on: %d bytes %q, %v; want %q", length, offset, n, got.Bytes(), err, want)
		}
		if res, err := snapshot.Verify(context.Background(), store, id, snapshot.VerifyOptions{ReadData: true}); err != nil || len(res.Problems) > 0 {
			rt.Fatalf("the forged snapshot is not honest: %v, %v", res.Problems, err)
		}
	})
}

// TestCatReadsWhatItNeeds reads the chunks of a range and no other, also behind a hole that
// takes for ever to read.
func TestCatReadsWhatItNeeds(t *testing.T) {
	store := snaptest.NewStore()
	f := newForger(t, store)
	first, second, third := f.extent([]byte("first"), 0, 5), f.extent([]byte("second"), 0, 6), f.extent([]byte("third"), 0, 5)
	id := f.root(f.dir("", f.file("file", first, hole(1<<60), second, third)), nil)
	delete(store.Blocks, first.Chunk.ID)
	delete(store.Blocks, third.Chunk.ID)
	const behind = 5 + 1<<60
	for _, tc := range []struct {
		offset, length int64
		want           string
	}{{behind, 6, "second"}, {behind + 1, 2, "ec"}, {behind - 2, 4, "\x00\x00se"}, {5, 3, "\x00\x00\x00"}, {0, 0, ""}, {behind + 11, 9, ""}} {
		var got strings.Builder
		if n, err := snapshot.Cat(t.Context(), store, id, "file", &got, tc.offset, tc.length); err != nil || got.String() != tc.want || n != int64(len(tc.want)) {
			t.Errorf("%d bytes from %d on: %q, %v", tc.length, tc.offset, got.String(), err)
		}
	}
	var got strings.Builder
	if n, err := snapshot.Cat(t.Context(), store, id, "file", &got, behind, -1); !errors.Is(err, block.ErrNotFound) || n != 6 || got.String() != "second" {
		t.Errorf("to a chunk that is not there: %d bytes %q, %v", n, got.String(), err)
	}
}

// TestCatRefuses says why there is nothing to write.
func TestCatRefuses(t *testing.T) {
	store := snaptest.NewStore()
	id := sample(t, store, lie{})
	for path, want := range map[string]error{
		"": snapshot.ErrNotFile, "inner": snapshot.ErrNotFile, "inner/00000": snapshot.ErrNotFile,
		"none": snapshot.ErrNotInSnapshot, "first/x": snapshot.ErrNotDir, "inner/none": snapshot.ErrNotInSnapshot,
	} {
		if n, err := snapshot.Cat(t.Context(), store, id, path, io.Discard, 0, -1); !errors.Is(err, want) || n != 0 {
			t.Errorf("%q: %d bytes, %v", path, n, err)
		}
	}
	if n, err := snapshot.Cat(t.Context(), store, id, "first", io.Discard, -1, -1); err == nil || n != 0 {
		t.Errorf("before the file: %d bytes, %v", n, err)
	}
	for _, name := range []string{"a page with more extents", "pages of other lengths"} {
		id := sample(t, store, lies[name].lie)
		if n, err := snapshot.Cat(t.Context(), store, id, "paged", io.Discard, 0, 10); !errors.Is(err, snapshot.ErrManifest) || n != 0 {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
}

// full is a writer that takes some bytes and no more.
type full struct{ room int }

var errFull = errors.New("full")

func (w *full) Write(p []byte) (int, error) {
	n := min(len(p), w.room)
	w.room -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// TestCatToFullDisk says how much was written before the writer had enough.
func TestCatToFullDisk(t *testing.T) {
	store := snaptest.NewStore()
	f := newForger(t, store)
	id := f.root(f.dir("", f.file("file", f.extent([]byte("first"), 0, 5), hole(7), f.extent([]byte("second"), 0, 6))), nil)
	for room := range int64(18) {
		if n, err := snapshot.Cat(t.Context(), store, id, "file", &full{int(room)}, 0, -1); !errors.Is(err, errFull) || n != room {
			t.Errorf("room for %d: %d bytes, %v", room, n, err)
		}
	}
}
