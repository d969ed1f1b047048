package create

import (
	"context"
	"fmt"
	"sync"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

// layout gathers where the bytes of a file go, of one attempt to read it. Its chunks get
// their names out of order, and its extents are put on pages in order as they do, so
// that only those of one page are in memory, however many the file has.
type layout struct {
	c *creator

	mu     sync.Mutex
	queue  []*extent         // in order, the first of them without a name
	page   []manifest.Extent // that are on no page yet
	ended  bool              // the page ends behind its last extent
	bytes  uint64            // of the page
	out    content
	closed func() error // what is done when all have names; set when the attempt counts
	left   bool         // the attempt does not count
}

// extent is a run of a file's bytes.
type extent struct {
	manifest.Extent

	size  int  // of the chunk
	named bool // holes are from the start
}

func newLayout(c *creator) *layout { return &layout{c: c} }

// hole adds a run of zeros. A file that changes while it is looked at can have one behind
// another, and those are one.
func (l *layout) hole(ctx context.Context, n int64) error {
	if n == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch q, p := len(l.queue)-1, len(l.page)-1; {
	case q >= 0 && l.queue[q].named && l.queue[q].Hole():
		l.queue[q].Length += uint64(n)
		return nil
	case q < 0 && p >= 0 && l.page[p].Hole():
		l.page[p].Length += uint64(n)
		l.bytes += uint64(n)
		return nil
	}
	l.queue = append(l.queue, &extent{Extent: manifest.Extent{Length: uint64(n)}, named: true})
	return l.advance(ctx)
}

// chunk sends the first n bytes of the reader's region on as the next extent.
func (l *layout) chunk(ctx context.Context, r *reader, n int) error {
	x := &extent{Extent: manifest.Extent{Length: uint64(n)}, size: n}
	l.mu.Lock()
	l.queue = append(l.queue, x)
	l.mu.Unlock()
	return r.take(ctx, n, func(id block.ID) error {
		l.mu.Lock()
		x.Chunk, x.named = manifest.LinkTo(id), true
		err := l.advance(ctx)
		done := l.done()
		l.mu.Unlock()
		if err != nil || done == nil {
			return err
		}
		return done()
	})
}

// keep makes the attempt the dirent's content as soon as all of it has names.
func (l *layout) keep(ctx context.Context, r *reader, e *dirent) error {
	l.mu.Lock()
	l.closed = func() error {
		if err := l.finish(ctx); err != nil {
			return fmt.Errorf("%s: %w", e.path(), err)
		}
		e.content, l.out = l.out, content{}
		r.files.Add(1)
		return r.complete(ctx, e)
	}
	done := l.done()
	l.mu.Unlock()
	if done == nil {
		return nil
	}
	return done()
}

// leave gives an attempt up. Chunks of it may still be on their way.
func (l *layout) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.queue, l.page = true, nil, nil
}

// done returns what is to be done now that all have names, if they have; once. mu is held.
func (l *layout) done() func() error {
	if len(l.queue) > 0 || l.closed == nil {
		return nil
	}
	done := l.closed
	l.closed = nil
	return done
}

// advance puts what has names on pages. mu is held, also while a page is stored: its
// extents have to stay in order.
func (l *layout) advance(ctx context.Context) error {
	for !l.left && len(l.queue) > 0 && l.queue[0].named {
		x := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		if l.ended {
			if err := l.endPage(ctx); err != nil {
				return err
			}
		}
		l.page = append(l.page, x.Extent)
		l.bytes += x.Length
		if x.Hole() {
			l.ended = len(l.page) == manifest.MaxPageExtents
			continue
		}
		if r, n := (ref{x.Chunk.ID, x.size}), len(l.out.chunks); n == 0 || l.out.chunks[n-1] != r {
			l.out.chunks = append(l.out.chunks, r)
		}
		digest := x.Chunk.ID.Digest()
		l.ended = len(l.page) == manifest.MaxPageExtents || len(l.page) >= extentPageMin && boundary(digest[:], extentPageOne)
	}
	return nil
}

// endPage stores a page.
func (l *layout) endPage(ctx context.Context) error {
	b, err := manifest.Encode(&manifest.ExtentPage{Extents: l.page})
	if err != nil {
		return err
	}
	l.out.pages = append(l.out.pages, manifest.ExtentRef{Page: manifest.LinkTo(b.ID()), Count: uint64(len(l.page)), Length: l.bytes})
	l.out.nodes = append(l.out.nodes, ref{b.ID(), b.Len()})
	l.page, l.bytes, l.ended = l.page[:0], 0, false
	return l.c.addNode(ctx, b)
}

// finish stores what is left: within the entry, if there is room for all of it.
func (l *layout) finish(ctx context.Context) error {
	if len(l.out.pages) == 0 && len(l.page) <= manifest.MaxInlineExtents {
		l.out.extents = l.page
		return nil
	}
	return l.endPage(ctx)
}
