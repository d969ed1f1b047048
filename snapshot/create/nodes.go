package create

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/decube/decube/block"
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

// boundary is true for one hash in so many; a power of two.
func boundary(hash []byte, one uint32) bool {
	return binary.BigEndian.Uint32(hash)&(one-1) == 0
}

// complete ends a dirent, and decides about the names of the same file that wait for it.
func (c *creator) complete(ctx context.Context, e *dirent) error {
	for {
		if !e.dropped {
			e.trusted, e.seen = e.trust(c.started.Unix(), c.now().Unix())
		}
		e.known = nil // its content has no more use
		next, err := e.links.end(c, e)
		if err != nil {
			return err
		}
		if err := c.keep(ctx, e); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		adopted, err := c.adoptKnown(next, e.left())
		if err != nil {
			return err
		}
		if !adopted {
			c.links.settle(&job{files: []*dirent{next}, before: e.links})
			return nil
		}
		c.links.settle(nil)
		e = next
	}
}

// left returns what is left of a complete dirent, nil for one that was dropped.
func (e *dirent) left() *record {
	if e.dropped {
		return nil
	}
	return &e.record
}

// keptRecords is how many records are kept as they are; those beyond are set aside, and
// those of files with many chunks.
const keptRecords = 8192

// keep puts a complete dirent into its directory.
func (c *creator) keep(ctx context.Context, e *dirent) error {
	d := e.dir
	if !e.dropped {
		if c.kept.Add(1) <= keptRecords && len(e.content.chunks) <= largeContent && e.content.aside.n == 0 {
			e.at.rec = &e.record
		} else {
			c.kept.Add(-1)
			at, err := c.setAside(&e.record)
			if err != nil {
				return fmt.Errorf("%s: %w", e.path(), err)
			}
			e.at.aside = at
		}
	}
	return c.release(ctx, d)
}

// setAside puts a record into the spool, and a large content once for all names that it is
// the content of. The record has no other than that from then on.
func (c *creator) setAside(r *record) (spooled, error) {
	if len(r.content.chunks) > largeContent && r.content.aside.n == 0 {
		e := encoder{data: make([]byte, 0, len(r.content.chunks)*(leastRef+2))}
		e.content(&r.content)
		r.content = content{aside: c.spool.put(e.data)}
	}
	b, err := r.append(nil)
	if err != nil {
		return spooled{}, err
	}
	return c.spool.put(b), nil
}

// load completes a content that was set aside by itself.
func (c *creator) load(of *content) error {
	if of.aside.n == 0 {
		return nil
	}
	var buf []byte
	b, err := c.spool.get(of.aside, &buf)
	if err != nil {
		return err
	}
	aside := of.aside
	*of, err = decodeContent(b)
	of.aside = aside
	return err
}

// takeBack returns a record that was set aside, with a large content still to be loaded.
func (c *creator) takeBack(at spooled, buf *[]byte) (*record, error) {
	b, err := c.spool.get(at, buf)
	if err != nil {
		return nil, err
	}
	return decodeRecord(b)
}

// release counts down what a directory waits for, and makes nodes of those that
// are ready, upwards.
func (c *creator) release(ctx context.Context, d *directory) error {
	if d.pending.Add(-1) > 0 {
		return nil
	}
	if err := c.finishDirectory(ctx, d); err != nil {
		return fmt.Errorf("%s: %w", d.rel, err)
	}
	if d.parent == nil {
		return nil
	}
	return c.complete(ctx, d.self)
}

// records yields a directory's records in order of name, each once.
func (c *creator) records(d *directory) iter.Seq2[*record, error] {
	return func(yield func(*record, error) bool) {
		var buf, lateBuf []byte
		late := d.late
		// before yields the late ones that come before a name, or all that are left.
		before := func(name []byte) (goesOn bool) {
			for ; len(late) > 0 && (name == nil || late[0].name < string(name)); late = late[1:] {
				if r, err := c.recordIn(late[0].slot, &lateBuf); (r != nil || err != nil) && (!yield(r, err) || err != nil) {
					return false
				}
			}
			return true
		}
		for i := range d.slots {
			r, err := c.recordIn(&d.slots[i], &buf)
			if r == nil && err == nil {
				continue
			}
			if err == nil && !before(r.entry.Name) || !yield(r, err) || err != nil {
				return
			}
		}
		before(nil)
	}
}

// recordIn returns the record in a slot, which is valid until the next call with the same
// buffer, nil if there is none.
func (c *creator) recordIn(s *slot, buf *[]byte) (*record, error) {
	if s.rec != nil || s.aside.n == 0 {
		return s.rec, nil
	}
	r, err := c.takeBack(s.aside, buf)
	if err != nil {
		return nil, err
	}
	return r, c.load(&r.content)
}

// finishDirectory turns complete dirents into the directory's node, and counts them.
func (c *creator) finishDirectory(ctx context.Context, d *directory) error {
	var stats manifest.Stats
	part, nodes := new(partBuilder), nodeBuilder{c: c}
	alone := d.self == nil
	for r, err := range c.records(d) {
		if err != nil {
			return err
		}
		count(&stats, r, d)
		part.add(&r.content, r.again(d))
		entry := r.entry
		entry.Extents, entry.Pages = r.content.extents, r.content.pages
		if alone {
			c.tree = entry
		} else if err := nodes.add(ctx, entry); err != nil {
			return err
		}
	}
	if alone && c.tree.Type == 0 {
		if list := c.problems.List(); len(list) > 0 {
			return list[0]
		}
		return ErrPrivate
	}
	if !alone {
		id, err := nodes.finish(ctx)
		if err != nil {
			return err
		}
		link := manifest.LinkTo(id)
		d.self.entry.Node = &link
		stats.Dirs++
		if d.parent == nil {
			c.tree = d.self.entry
		}
	}
	var err error
	if *d.part, err = part.finish(nodes.stored, c.spool); err != nil {
		return err
	}
	if !alone { // last, for then only one copy of a long list of chunks is in memory
		if err := c.writer.add(d.rel, c.records(d)); err != nil {
			return err
		}
	}
	c.giveUp(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Files += stats.Files
	c.stats.Dirs += stats.Dirs
	c.stats.Others += stats.Others
	c.stats.Bytes += stats.Bytes
	return nil
}

// giveUp forgets the records of a directory.
func (c *creator) giveUp(d *directory) {
	for i := range d.slots {
		if d.slots[i].rec != nil {
			c.kept.Add(-1)
		}
	}
	for _, l := range d.late {
		if l.rec != nil {
			c.kept.Add(-1)
		}
	}
	d.slots, d.late = nil, nil
}

// again reports whether a record is of a further name of a file, whose first name has a
// place before it.
func (r *record) again(d *directory) bool {
	return r.entry.Link != nil && string(r.entry.Link) != string(linkGroup(d.path(string(r.entry.Name))))
}

func count(s *manifest.Stats, r *record, d *directory) {
	switch r.entry.Type {
	case manifest.File:
		s.Files++
		if !r.again(d) {
			s.Bytes += r.entry.Size
		}
	case manifest.Dir:
	default:
		s.Others++
	}
}

// nodeBuilder stores a directory's entries, which come in order of name: in one node, or
// on pages when they are many.
type nodeBuilder struct {
	c       *creator
	entries []manifest.Entry // that are on no page yet
	size    int              // of those, in bytes, about
	ended   bool             // the page ends behind its last entry
	pages   []manifest.NodeRef
	stored  []ref
}

func (n *nodeBuilder) add(ctx context.Context, e manifest.Entry) error {
	size := entrySize(&e)
	if n.ended || n.size+size > nodePageMax && len(n.entries) > 0 {
		if err := n.endPage(ctx); err != nil {
			return err
		}
	}
	n.entries = append(n.entries, e)
	n.size += size
	n.ended = len(n.entries) == manifest.MaxNodeEntries || n.size >= nodePageMin && boundary(linkGroup(string(e.Name)), nodePageOne)
	return nil
}

func (n *nodeBuilder) endPage(ctx context.Context) error {
	id, err := n.store(ctx, &manifest.Node{Entries: n.entries})
	if err != nil {
		return err
	}
	n.pages = append(n.pages, manifest.NodeRef{Page: manifest.LinkTo(id), First: n.entries[0].Name, Count: uint64(len(n.entries))})
	clear(n.entries)
	n.entries, n.size, n.ended = n.entries[:0], 0, false
	return nil
}

// finish stores what is left, and returns the directory's node.
func (n *nodeBuilder) finish(ctx context.Context) (block.ID, error) {
	if n.pages == nil {
		node := new(manifest.Node)
		if len(n.entries) > 0 {
			node.Entries = n.entries
		}
		return n.store(ctx, node)
	}
	if len(n.entries) > 0 {
		if err := n.endPage(ctx); err != nil {
			return block.ID{}, err
		}
	}
	return n.store(ctx, &manifest.Node{Pages: n.pages})
}

func (n *nodeBuilder) store(ctx context.Context, node *manifest.Node) (block.ID, error) {
	b, err := manifest.Encode(node)
	if err != nil {
		return block.ID{}, err
	}
	n.stored = append(n.stored, ref{b.ID(), b.Len()})
	return b.ID(), n.c.addNode(ctx, b)
}

// entrySize is an upper bound of an entry's encoded size in bytes.
func entrySize(e *manifest.Entry) int {
	n := 128 + len(e.Name) + len(e.User) + len(e.Group) + len(e.Target) + 72*len(e.Extents) + 72*len(e.Pages)
	for _, x := range e.Xattrs {
		n += 16 + len(x.Name) + len(x.Value)
	}
	return n
}

// addNode gives a block of the manifest to the sink, which finds out by itself whether it
// holds it.
func (c *creator) addNode(ctx context.Context, b block.Block) error {
	if err := c.sink.Add(ctx, b, nil); err != nil {
		return fmt.Errorf("store a node: %w", err)
	}
	return nil
}
