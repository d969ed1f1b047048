package snapshot_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/snaptest"
)

// sharing is a source such as a cache: some blocks it has and shares with all, and others
// it reads into the buffer that it is given.
type sharing struct{ *snaptest.Store }

func (s sharing) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	b, err := s.Store.Get(ctx, id, nil)
	if err != nil || bytes.HasPrefix(b.Data(), []byte("shared")) {
		return b, err
	}
	return block.Check(id, append(buf[:0], b.Data()...))
}

// TestCatWritesIntoNoBlock leaves alone the bytes of a block that it was given: they are
// shared with others.
func TestCatWritesIntoNoBlock(t *testing.T) {
	store := snaptest.NewStore()
	f := newForger(t, store)
	id := f.root(f.dir("", f.file("file",
		f.extent([]byte("shared"), 0, 6), f.extent([]byte("read"), 0, 4), f.extent([]byte("shared too"), 0, 10), f.extent([]byte("more"), 0, 4))), nil)
	for range 2 {
		var got strings.Builder
		if _, err := snapshot.Cat(t.Context(), sharing{store}, id, "file", &got, 0, -1); err != nil || got.String() != "sharedreadshared toomore" {
			t.Fatalf("%q, %v", got.String(), err)
		}
	}
}
