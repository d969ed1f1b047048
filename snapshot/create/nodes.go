package create

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot/manifest"
)

// How lists are cut into pages: at an element whose hash says so, so that an
// insertion changes one page and not all that follow, and at the bounds.
const (
	nodePageMin   = 256 << 10 // bytes of entries
	nodePageMax   = 1 << 20
	nodePageOne   = 64 // an entry in 64 ends a page
	extentPageMin = 1024
	extentPageOne = 2048
	indexPageMin  = 4096
	indexPageOne  = 8192
)

// release counts down what a directory waits for, and makes nodes of those that
// are ready, upwards.
func (c *creator) release(ctx context.Context, d *directory) error {
	for d != nil && d.pending.Add(-1) == 0 {
		if err := c.finishDirectory(ctx, d); err != nil {
			return err
		}
		d = d.parent
	}
	return nil
}

// finishDirectory turns complete items into the directory's node, and counts them.
func (c *creator) finishDirectory(ctx context.Context, d *directory) error {
	var stats manifest.Stats
	for _, it := range d.items {
		if !it.dropped {
			count(&stats, it)
		}
	}
	var err error
	switch {
	case d.self == nil:
		err = c.finishFile(ctx, d)
	case d.known.unchanged(d.items):
		c.reuseNode(d)
	default:
		err = c.makeNode(ctx, d)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.rel, err)
	}
	if d.self != nil {
		stats.Dirs++
		if d.parent == nil {
			c.tree = d.self.entry
		}
		c.writer.add(d)
	}
	d.items, d.known = nil, nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Files += stats.Files
	c.stats.Dirs += stats.Dirs
	c.stats.Others += stats.Others
	c.stats.Bytes += stats.Bytes
	return nil
}

// finishFile makes a single file, or a stream, the top of the tree.
func (c *creator) finishFile(ctx context.Context, d *directory) error {
	it := d.items[0]
	if it.dropped {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.problems[0]
	}
	it.dir.share.add(it.pieces)
	c.tree = it.entry
	return c.content(ctx, it, &c.tree)
}

// reuseNode takes a directory's node, and its pages, from the cache.
func (c *creator) reuseNode(d *directory) {
	for _, it := range d.items {
		d.share.add(it.pieces)
	}
	d.share.nodes = d.known.nodes
	link := manifest.LinkTo(d.known.node)
	d.self.entry.Node = &link
}

// makeNode encodes a directory's node.
func (c *creator) makeNode(ctx context.Context, d *directory) error {
	entries := make([]manifest.Entry, 0, len(d.items))
	for _, it := range d.items {
		if it.dropped {
			continue
		}
		d.share.add(it.pieces)
		entries = append(entries, it.entry) // a copy: other names of a hard link may look at the item
		if err := c.content(ctx, it, &entries[len(entries)-1]); err != nil {
			return err
		}
	}
	id, err := c.directoryNode(ctx, d, entries)
	if err != nil {
		return err
	}
	link := manifest.LinkTo(id)
	d.self.entry.Node = &link
	return nil
}

// add adds the chunks that a file's pieces lie in.
func (s *share) add(pieces []piece) {
	for _, p := range pieces {
		if p.Hole() {
			continue
		}
		r := ref{p.Chunk.ID, p.chunkSize}
		if n := len(s.chunks); n == 0 || s.chunks[n-1] != r {
			s.chunks = append(s.chunks, r)
		}
	}
}

func count(s *manifest.Stats, it *item) {
	switch it.entry.Type {
	case manifest.File:
		s.Files++
		if it.entry.Link == nil || string(it.entry.Link) == string(linkGroup(it.path())) {
			s.Bytes += it.entry.Size
		}
	case manifest.Dir:
	default:
		s.Others++
	}
}

// content puts a file's pieces into its entry, on pages when there are many.
func (c *creator) content(ctx context.Context, it *item, e *manifest.Entry) error {
	if len(it.pieces) == 0 {
		return nil
	}
	extents := make([]manifest.Extent, len(it.pieces))
	for i, p := range it.pieces {
		extents[i] = p.Extent
	}
	if len(extents) <= manifest.MaxInlineExtents {
		e.Extents = extents
		return nil
	}
	for len(extents) > 0 {
		n, bytes := extentPage(extents)
		b, err := manifest.Encode(&manifest.ExtentPage{Extents: extents[:n]})
		if err != nil {
			return fmt.Errorf("%s: %w", it.path(), err)
		}
		if err := c.node(ctx, it.dir.share, b); err != nil {
			return err
		}
		e.Pages = append(e.Pages, manifest.ExtentRef{Page: manifest.LinkTo(b.ID()), Count: uint64(n), Length: bytes})
		extents = extents[n:]
	}
	return nil
}

// extentPage returns how many extents the next page takes, and their bytes.
func extentPage(extents []manifest.Extent) (n int, bytes uint64) {
	for _, e := range extents {
		n++
		bytes += e.Length
		d := e.Chunk.ID.Digest()
		if n == manifest.MaxPageExtents || n >= extentPageMin && !e.Hole() && drawn(d[:], extentPageOne) {
			break
		}
	}
	return n, bytes
}

// drawn is true for one hash in so many; a power of two.
func drawn(hash []byte, one uint32) bool {
	return binary.BigEndian.Uint32(hash)&(one-1) == 0
}

// directoryNode stores the entries, on pages when they are many, and returns the
// directory's node.
func (c *creator) directoryNode(ctx context.Context, d *directory, entries []manifest.Entry) (block.ID, error) {
	var pages []manifest.NodeRef
	rest := entries
	for {
		n := nodePage(rest)
		if n == len(rest) && pages == nil {
			node := &manifest.Node{}
			if n > 0 {
				node.Entries = rest
			}
			b, err := manifest.Encode(node)
			if err != nil {
				return block.ID{}, err
			}
			return b.ID(), c.node(ctx, d.share, b)
		}
		if n == 0 {
			break
		}
		b, err := manifest.Encode(&manifest.Node{Entries: rest[:n]})
		if err != nil {
			return block.ID{}, err
		}
		if err := c.node(ctx, d.share, b); err != nil {
			return block.ID{}, err
		}
		pages = append(pages, manifest.NodeRef{Page: manifest.LinkTo(b.ID()), First: rest[0].Name, Count: uint64(n)})
		rest = rest[n:]
	}
	b, err := manifest.Encode(&manifest.Node{Pages: pages})
	if err != nil {
		return block.ID{}, err
	}
	return b.ID(), c.node(ctx, d.share, b)
}

// nodePage returns how many entries the next page of a directory takes.
func nodePage(entries []manifest.Entry) int {
	size := 0
	for i := range entries {
		size += entrySize(&entries[i])
		if size > nodePageMax && i > 0 {
			return i
		}
		h := linkGroup(string(entries[i].Name))
		if i+1 == manifest.MaxNodeEntries || size >= nodePageMin && drawn(h, nodePageOne) {
			return i + 1
		}
	}
	return len(entries)
}

// entrySize is an upper bound of an entry's encoded size in bytes.
func entrySize(e *manifest.Entry) int {
	n := 128 + len(e.Name) + len(e.User) + len(e.Group) + len(e.Target) + 72*len(e.Extents) + 72*len(e.Pages)
	for _, x := range e.Xattrs {
		n += 16 + len(x.Name) + len(x.Value)
	}
	return n
}

// node gives a node to the store and to its directory's share of the index.
func (c *creator) node(ctx context.Context, s *share, b block.Block) error {
	s.nodes = append(s.nodes, ref{b.ID(), b.Len()})
	return c.nodes.add(ctx, b)
}

// nodeQueue hands nodes to the sink in batches, so that one question tells which of
// them are new.
type nodeQueue struct {
	sink  Sink
	mu    sync.Mutex
	queue []block.Block
	bytes int
	fresh int64 // nodes that the store did not hold
}

// Bounds of a batch.
const (
	queueBlocks = 1024
	queueBytes  = 4 << 20
)

func (q *nodeQueue) add(ctx context.Context, b block.Block) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, b)
	q.bytes += b.Len()
	if len(q.queue) < queueBlocks && q.bytes < queueBytes {
		return nil
	}
	return q.write(ctx)
}

func (q *nodeQueue) flush(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.write(ctx)
}

func (q *nodeQueue) write(ctx context.Context) error {
	ids := make([]block.ID, 0, len(q.queue))
	unique := q.queue[:0]
	seen := make(map[block.ID]bool, len(q.queue))
	for _, b := range q.queue {
		if !seen[b.ID()] {
			seen[b.ID()] = true
			ids = append(ids, b.ID())
			unique = append(unique, b)
		}
	}
	held, err := q.sink.Touch(ctx, ids)
	if err != nil {
		return fmt.Errorf("ask the store for nodes: %w", err)
	}
	for i, b := range unique {
		if held[i] {
			continue
		}
		q.fresh++
		if err := q.sink.Add(ctx, b, nil); err != nil {
			return fmt.Errorf("store a node: %w", err)
		}
	}
	q.queue, q.bytes = nil, 0
	return nil
}
