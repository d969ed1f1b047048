package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc" // registers the algorithm

	"github.com/decube/decube/snapshot/manifest"
)

// How content is cut. These numbers decide which chunks two snapshots share, so
// they change with the format version only.
const (
	chunkAlgorithm = "fastcdc-v1.0.0"
	chunkMin       = 256 << 10
	chunkNormal    = 1 << 20
	chunkMax       = 2<<20 - 4<<10 // a block with any envelope stays below 2 MiB
	smallFile      = 64 << 10      // files below this size share chunks
	bundleNormal   = 512 << 10
)

func chunkerParameters() manifest.Chunker {
	return manifest.Chunker{
		Algorithm: chunkAlgorithm, Min: chunkMin, Normal: chunkNormal, Max: chunkMax,
		Small: smallFile, Bundle: bundleNormal,
	}
}

// Memory of one Create: read buffers, which chunks are slices of.
const (
	bufferSize  = 4 << 20
	bufferCount = 16
)

// buffer is a piece of memory that chunks alias; it returns to its pool when
// nobody refers to it any more.
type buffer struct {
	data []byte
	used int // bytes handed out, from the front
	refs atomic.Int32
	home chan *buffer
}

func (b *buffer) retain() { b.refs.Add(1) }

func (b *buffer) release() {
	switch n := b.refs.Add(-1); {
	case n == 0:
		b.home <- b // never blocks: the channel has room for all
	case n < 0:
		panic("snapshot: buffer released twice")
	}
}

// pool bounds the memory of read buffers, which it makes when first needed.
type pool struct{ free chan *buffer }

func newPool(n int) *pool {
	p := &pool{free: make(chan *buffer, n)}
	for range n {
		p.free <- nil
	}
	return p
}

// get waits for a buffer; the caller holds its one reference.
func (p *pool) get(ctx context.Context) (*buffer, error) {
	select {
	case b := <-p.free:
		if b == nil {
			b = &buffer{data: make([]byte, bufferSize), home: p.free}
		}
		b.used = 0
		b.refs.Store(1)
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// filled is a reader for bytes that stand already where they are to be read to: the
// chunker's own buffer. That saves copying every byte into it.
type filled struct{ n int }

func (f filled) Read(p []byte) (int, error) {
	if f.n > len(p) {
		return 0, errors.New("snapshot: the chunker reads into a part of its buffer only")
	}
	return f.n, io.EOF
}

// cut calls yield for each chunk of the first n bytes of region, in order, and
// returns where the last one ends. A chunk that ends at n is yielded only when last
// says that the data ends there; else its end is not known yet. region must have
// room for chunkMax bytes.
func cut(region []byte, n int, last bool, yield func(start, end int) error) (int, error) {
	c, err := chunkers.NewChunkerBuffer(chunkAlgorithm, filled{n}, &chunkers.ChunkerOpts{
		MinSize: chunkMin, NormalSize: chunkNormal, MaxSize: chunkMax,
	}, region)
	if err != nil {
		return 0, fmt.Errorf("set up the chunker: %w", err)
	}
	for pos := 0; ; {
		chunk, err := c.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return pos, fmt.Errorf("cut chunks: %w", err)
		}
		end := pos + len(chunk)
		if len(chunk) == 0 || end == n && len(chunk) < chunkMax && !last {
			return pos, nil
		}
		if err := yield(pos, end); err != nil {
			return pos, err
		}
		pos = end
	}
}
