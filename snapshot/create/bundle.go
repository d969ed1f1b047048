package create

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"path"

	"github.com/decube/decube/block"
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
	files  []*dirent
	size   int64
	behind int // further names of files that came since it began, of whichever
}

// maxBehind is how many further names of files may come before a bundle ends: as long as
// it is not on its way, those wait that are names of what is in it.
const maxBehind = maxWaiting / 2

// behind takes note of a further name. What is collected goes on its way before too many
// may wait for it, which is decided by the tree alone, as all ends of bundles are.
func (w *walker) behind(ctx context.Context) error {
	if len(w.bundle.files) > 0 {
		if w.bundle.behind++; w.bundle.behind == maxBehind {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
	}
	if len(w.empties) > 0 {
		if w.behindEmpty++; w.behindEmpty == maxBehind {
			return w.flushEmpty(ctx)
		}
	}
	return nil
}

// small adds a file to the bundle and sends the bundle on when it ends.
func (w *walker) small(ctx context.Context, e *dirent) error {
	b := &w.bundle
	if b.size+e.st.Size > chunkMax {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	b.files = append(b.files, e)
	b.size += e.st.Size
	if b.size >= bundleNormal/2 && bundleEnds(e) || len(b.files) >= bundleFiles && boundary(linkGroup(e.name), bundleFiles/4) || len(b.files) == 2*bundleFiles {
		return w.flush(ctx)
	}
	return nil
}

// empty adds a file that is to have no content to those that are read together, which
// has nothing to do with bundles: it is opened for its attributes, and to see that it is so.
func (w *walker) empty(ctx context.Context, e *dirent) error {
	if e.known.usable() {
		return w.reuse(ctx, e)
	}
	if w.empties = append(w.empties, e); len(w.empties) < emptyFiles {
		return nil
	}
	return w.flushEmpty(ctx)
}

func (w *walker) flushEmpty(ctx context.Context) error {
	list := w.empties
	w.empties, w.behindEmpty = nil, 0
	if len(list) == 0 {
		return nil
	}
	return w.send(ctx, job{files: list})
}

// bundleEnds draws whether a bundle may end after a dirent.
func bundleEnds(e *dirent) bool {
	sum := sha256.Sum256([]byte(path.Base(e.dir.rel) + "/" + e.name))
	draw := binary.BigEndian.Uint64(sum[:8])
	return draw < uint64(e.st.Size)*(math.MaxUint64/(bundleNormal/2))
}

// flush sends the bundle on: to be read, unless all of it is known and still the same.
func (w *walker) flush(ctx context.Context) error {
	b := w.bundle
	w.bundle = bundle{}
	if len(b.files) == 0 {
		return nil
	}
	if !b.unchanged() {
		return w.send(ctx, job{files: b.files})
	}
	for _, e := range b.files {
		if err := w.reuse(ctx, e); err != nil {
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
	for _, e := range b.files {
		if !e.known.usable() {
			return false
		}
		c := &e.known.content
		if len(c.extents) != 1 || c.extents[0].Hole() {
			return false
		}
		x := c.extents[0]
		if chunk.IsZero() {
			chunk = x.Chunk.ID
		}
		if x.Chunk.ID != chunk || x.Offset != offset || c.chunks[0].size != int(b.size) {
			return false
		}
		offset += x.Length
	}
	return offset == uint64(b.size)
}
