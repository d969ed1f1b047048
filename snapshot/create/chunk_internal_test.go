package create

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"

	"github.com/decube/decube/block"
)

// cutAll cuts data with buffers of a size, as reading a file does.
func cutAll(t *testing.T, data []byte, size int) (sizes []int) {
	t.Helper()
	region := make([]byte, size)
	carried, rest := 0, data
	for {
		n := copy(region[carried:], rest)
		rest = rest[n:]
		filled := carried + n
		end, err := cut(region[:filled], len(rest) == 0, func(n int) error {
			sizes = append(sizes, n)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(rest) == 0 {
			return sizes
		}
		carried = copy(region, region[end:filled])
	}
}

// TestCut cuts as the library's own reader does, whatever the buffers, and holds the
// sizes to what the format says.
func TestCut(t *testing.T) {
	data := make([]byte, 96<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
	clear(data[20<<20 : 30<<20])
	c, err := chunkers.NewChunker(chunkAlgorithm, bytes.NewReader(data), &chunkers.ChunkerOpts{MinSize: chunkMin, NormalSize: chunkNormal, MaxSize: chunkMax})
	if err != nil {
		t.Fatal(err)
	}
	var want []int
	for {
		chunk, err := c.Next()
		if len(chunk) > 0 {
			want = append(want, len(chunk))
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	for _, size := range []int{chunkMax, bufferSize, 7 << 20} {
		got := cutAll(t, data, size)
		if len(got) != len(want) {
			t.Fatalf("%d chunks, the library's reader gives %d", len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("chunk %d: %d bytes, want %d", i, got[i], want[i])
			}
		}
	}
	for i, n := range want {
		if n > chunkMax || n < chunkMin && i < len(want)-1 || n > block.MaxSize {
			t.Errorf("chunk %d has %d bytes", i, n)
		}
	}
	if mean := len(data) / len(want); mean < chunkNormal*3/4 || mean > chunkNormal*3/2 {
		t.Errorf("chunks have %d bytes on average", mean)
	}
}
