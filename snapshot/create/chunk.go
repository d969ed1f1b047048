package create

import (
	"context"
	"sync/atomic"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/cdc"
	"github.com/decube/decube/snapshot/manifest"
)

// How content is cut. These numbers decide which chunks two snapshots share, so
// they change with the format version only.
const (
	chunkAlgorithm = "fastcdc-v1.0.0" // see package cdc
	chunkMin       = 256 << 10
	chunkNormal    = 1 << 20
	chunkMax       = 2<<20 - 4<<10 // a block with any envelope stays below 2 MiB
	bundleNormal   = 512 << 10
	bundleFiles    = 2048 // in a bundle, from which on a name may end it
)

func chunkerParameters() manifest.Chunker {
	return manifest.Chunker{
		Algorithm: chunkAlgorithm, Min: chunkMin, Normal: chunkNormal, Max: chunkMax,
		Small: snapshot.SmallFile, Bundle: bundleNormal,
	}
}

// emptyFiles is how many empty files are read together.
const emptyFiles = 256

// queuedFiles is how many files wait to be read, unless one bundle has more.
const queuedFiles = 8192

// Memory of one Create: read buffers, which chunks are slices of.
const (
	bufferSize  = 4 << 20
	bufferCount = 10
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

var cutter = func() cdc.Cutter {
	c, err := cdc.New(cdc.Sizes{Min: chunkMin, Normal: chunkNormal, Max: chunkMax})
	if err != nil {
		panic(err) // the constants above do not fit together
	}
	return c
}()

// cut calls yield for each chunk of data, in order, and returns where the last one
// ends. A chunk at the end of data is yielded only when last says that the content
// ends there; else its end is not known yet.
func cut(data []byte, last bool, yield func(n int) error) (end int, err error) {
	for end < len(data) {
		n := cutter.Cut(data[end:])
		if end+n == len(data) && n < chunkMax && !last {
			return end, nil
		}
		if err := yield(n); err != nil {
			return end, err
		}
		end += n
	}
	return end, nil
}
