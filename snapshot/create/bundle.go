package create

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"path"

	"github.com/decube/decube/internal/block"
)

// bundle is a run of small files, in walk order, that share one chunk.
//
// Where a bundle ends is decided by names and sizes alone, before anything is read:
// after a file once half of bundleNormal is reached, with a probability that grows
// with the file's size, drawn from a hash of its name and its directory's; and
// before a file that would not fit. So whether a bundle is unchanged is known from
// the stat cache, the same tree gives the same bundles with a cache or without, and
// a change moves the ends in its neighbourhood only.
type bundle struct {
	items []*item
	known []*cachedFile // of each item, nil where it must be read
	size  int64
}

// small adds a file to the bundle and sends the bundle on when it ends.
func (w *walker) small(ctx context.Context, it *item, known *cachedFile) error {
	b := &w.bundle
	if b.size+it.st.Size > chunkMax {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	b.items = append(b.items, it)
	b.known = append(b.known, known)
	b.size += it.st.Size
	if b.size >= bundleNormal/2 && bundleEnds(it) {
		return w.flush(ctx)
	}
	return nil
}

// bundleEnds draws whether a bundle may end after the item.
func bundleEnds(it *item) bool {
	sum := sha256.Sum256([]byte(path.Base(it.dir.rel) + "/" + it.name))
	draw := binary.BigEndian.Uint64(sum[:8])
	return draw < uint64(it.st.Size)*(math.MaxUint64/(bundleNormal/2))
}

// flush sends the bundle on: to be read, unless all of it is known and still the same.
func (w *walker) flush(ctx context.Context) error {
	b := w.bundle
	w.bundle = bundle{}
	if len(b.items) == 0 {
		return nil
	}
	if !b.unchanged() {
		return w.send(ctx, job{items: b.items})
	}
	for i, it := range b.items {
		if err := w.reuse(ctx, it, b.known[i]); err != nil {
			return err
		}
	}
	return nil
}

// unchanged reports whether the cache knows every file, and that exactly these
// files in this order are one chunk.
func (b *bundle) unchanged() bool {
	var chunk block.ID
	var offset uint64
	for i, it := range b.items {
		known := b.known[i]
		switch {
		case known == nil:
			return false
		case it.st.Size == 0:
			continue
		case len(known.pieces) != 1:
			return false
		}
		p := known.pieces[0]
		if chunk.IsZero() {
			chunk = p.Chunk.ID
		}
		if p.Chunk.ID != chunk || p.Offset != offset || p.chunkSize != int(b.size) {
			return false
		}
		offset += p.Length
	}
	return offset == uint64(b.size)
}
