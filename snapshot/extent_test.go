package snapshot_test

import (
	"errors"
	"math"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
)

// TestExtentBytes gives bytes of a chunk, and never others.
func TestExtentBytes(t *testing.T) {
	chunk := block.New(block.Raw, []byte("ten bytes."))
	for _, tc := range []struct {
		offset, length uint64
		want           string // nothing for what is out of range
	}{
		{0, 10, "ten bytes."},
		{4, 5, "bytes"},
		{9, 1, "."},
		{0, 11, ""},
		{10, 1, ""},
		{4, 7, ""},
		{11, 1, ""},
		{1 << 40, 1, ""},
		{1, 1 << 40, ""},
		{math.MaxUint64, 1, ""},
		{2, math.MaxUint64, ""},
		{math.MaxUint64 - 3, 10, ""},
	} {
		got, err := snapshot.ExtentBytes(manifest.Extent{Chunk: manifest.LinkTo(chunk.ID()), Offset: tc.offset, Length: tc.length}, chunk)
		if tc.want == "" != errors.Is(err, snapshot.ErrManifest) || string(got) != tc.want {
			t.Errorf("%d bytes at %d: %q, %v", tc.length, tc.offset, got, err)
		}
	}
}
