package create

import (
	"context"
	"fmt"
	"slices"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

// indexPart is what one directory adds to the index: records of its nodes and of the
// chunks in it, as they are on an index page.
type indexPart struct {
	nodes  spooled
	chunks spooled
	total  int // records, with those that are left to an earlier name of the same file
}

// partBuilder gathers the records of a directory.
type partBuilder struct {
	nodes, chunks []byte
	total         int // records, with those that are left out
	last          ref // chunk, of those that are in
}

// add adds what a file's content lies in. A further name of the file has it again: all of
// it is in the index by the first, and is only counted.
func (p *partBuilder) add(c *content, again bool) {
	p.total += len(c.nodes)
	if !again {
		for _, r := range c.nodes {
			p.nodes = manifest.AppendRecord(p.nodes, r.id, r.size)
		}
	}
	if !again {
		p.chunks = slices.Grow(p.chunks, len(c.chunks)*manifest.RecordSize)
	}
	for _, r := range c.chunks {
		if r == p.last {
			continue
		}
		if p.total++; !again {
			p.last = r
			p.chunks = manifest.AppendRecord(p.chunks, r.id, r.size)
		}
	}
}

// finish sets the records aside, with the nodes of the directory itself. It returns
// ErrTooManyBlocks for more than any snapshot can name: what the cache knows of was not
// counted when it was read.
func (p *partBuilder) finish(own []ref, s *spool) (indexPart, error) {
	for _, r := range own {
		p.nodes = manifest.AppendRecord(p.nodes, r.id, r.size)
	}
	if err := checkPart((len(p.nodes) + len(p.chunks)) / manifest.RecordSize); err != nil {
		return indexPart{}, err
	}
	part := indexPart{nodes: s.put(p.nodes), chunks: s.put(p.chunks), total: p.total + len(own)}
	p.nodes, p.chunks = nil, nil
	return part, nil
}

// checkPart refuses more records than a snapshot has blocks at most, which is far less than
// a spool takes as one string.
func checkPart(records int) error {
	if records > maxBlocks {
		return ErrTooManyBlocks
	}
	return nil
}

// indexBuilder joins what the directories add to the index, every block once and in walk
// order, nodes before chunks.
type indexBuilder struct {
	c     *creator
	seen  map[block.Digest]struct{}
	page  []byte
	least int // records of a page
	refs  []manifest.IndexRef
}

// index stores the pages, and completes the statistics.
func (c *creator) index(ctx context.Context) ([]manifest.IndexRef, error) {
	x := &indexBuilder{c: c, seen: make(map[block.Digest]struct{})}
	total := 0
	for _, p := range c.parts {
		total += p.total
	}
	x.least = indexPageLeast(total)
	nodes := func(p *indexPart) spooled { return p.nodes }
	if err := x.all(ctx, nodes, func(int) { c.stats.Nodes++ }); err != nil {
		return nil, err
	}
	clear(x.seen) // a chunk may have the bytes of a node, under another codec
	chunks := func(p *indexPart) spooled { return p.chunks }
	err := x.all(ctx, chunks, func(size int) {
		c.stats.Chunks++
		c.stats.ChunkBytes += uint64(size)
	})
	if err != nil {
		return nil, err
	}
	return x.refs, x.flush(ctx)
}

// all adds the records of one kind of each part, and counts those that are new.
func (x *indexBuilder) all(ctx context.Context, which func(*indexPart) spooled, count func(size int)) error {
	var buf []byte
	for _, p := range x.c.parts {
		records, err := x.c.spool.get(which(p), &buf)
		if err != nil {
			return err
		}
		page := manifest.IndexPage{Records: records}
		for i := range page.Len() {
			id, size := page.At(i)
			fresh, err := x.add(ctx, id, size)
			if err != nil {
				return err
			}
			if fresh {
				count(size)
			}
		}
	}
	return nil
}

func (x *indexBuilder) add(ctx context.Context, id block.ID, size int) (fresh bool, err error) {
	digest := id.Digest()
	if _, ok := x.seen[digest]; ok {
		return false, nil
	}
	x.seen[digest] = struct{}{}
	x.page = manifest.AppendRecord(x.page, id, size)
	n := len(x.page) / manifest.RecordSize
	if n == manifest.MaxIndexRecords || n >= x.least && boundary(digest[:], indexPageOne) {
		return true, x.flush(ctx)
	}
	return true, nil
}

func (x *indexBuilder) flush(ctx context.Context) error {
	if len(x.page) == 0 {
		return nil
	}
	b, err := manifest.Encode(&manifest.IndexPage{Records: x.page})
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	x.refs = append(x.refs, manifest.IndexRef{Page: manifest.LinkTo(b.ID()), Count: uint64(len(x.page) / manifest.RecordSize)})
	x.page = x.page[:0]
	return x.c.addNode(ctx, b)
}

// maxBlocks is how many blocks a snapshot has at most.
const maxBlocks = manifest.MaxIndexPages * manifest.MaxIndexRecords

// indexPageLeast returns how many records a page of an index has at least, all but the
// last: so many that the pages of so many blocks never are too many.
func indexPageLeast(blocks int) int {
	full := manifest.MaxIndexPages - 2 // both the nodes' and the chunks' last page may be small
	return min(max(indexPageMin, (blocks+full-1)/full), manifest.MaxIndexRecords)
}
