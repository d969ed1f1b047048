package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"iter"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

// Entry is one name in a snapshot.
type Entry = manifest.Entry

// Tree reads directories and extents of one snapshot and holds them against each
// other. Each block keeps its own rules already; what only shows when several are
// seen together is checked here. It is safe for concurrent use.
type Tree struct {
	src  Source
	id   block.ID
	root *Root
}

// OpenTree reads a snapshot's root, as LoadRoot does.
func OpenTree(ctx context.Context, src Source, id block.ID) (*Tree, error) {
	root, err := LoadRoot(ctx, src, id)
	if err != nil {
		return nil, err
	}
	return &Tree{src: src, id: id, root: root}, nil
}

// ID returns the snapshot's ID.
func (t *Tree) ID() block.ID { return t.id }

// Root returns the snapshot's root, which is not to be changed.
func (t *Tree) Root() *Root { return t.root }

// Get returns a verified block of the snapshot, as Source.Get does.
func (t *Tree) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	return t.src.Get(ctx, id, buf)
}

// Entries yields a directory's entries in order of name, nothing for what is no
// directory. It stops after an error.
func (t *Tree) Entries(ctx context.Context, dir *Entry) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		if dir.Node == nil {
			return
		}
		node, err := t.node(ctx, dir.Node.ID)
		if err != nil {
			yield(nil, err)
			return
		}
		if !each(node.Entries, yield) {
			return
		}
		var last []byte
		for _, ref := range node.Pages {
			page, err := t.page(ctx, ref, last)
			if err != nil {
				yield(nil, err)
				return
			}
			last = page[len(page)-1].Name
			if !each(page, yield) {
				return
			}
		}
	}
}

func each(list []Entry, yield func(*Entry, error) bool) bool {
	for i := range list {
		if !yield(&list[i], nil) {
			return false
		}
	}
	return true
}

func (t *Tree) node(ctx context.Context, id block.ID) (*manifest.Node, error) {
	node := new(manifest.Node)
	if err := load(ctx, t.src, id, node); err != nil {
		return nil, err
	}
	return node, nil
}

// page reads a page of a directory, whose names follow last.
func (t *Tree) page(ctx context.Context, ref manifest.NodeRef, last []byte) ([]Entry, error) {
	node, err := t.node(ctx, ref.Page.ID)
	if err != nil {
		return nil, err
	}
	list := node.Entries
	switch {
	case uint64(len(list)) != ref.Count || node.Pages != nil:
		return nil, fmt.Errorf("%w: block %s: a page of %d entries and %d pages, referred to with %d entries",
			ErrManifest, ref.Page.ID, len(list), len(node.Pages), ref.Count)
	case !bytes.Equal(list[0].Name, ref.First):
		return nil, fmt.Errorf("%w: block %s: a page that begins with %q, referred to with %q", ErrManifest, ref.Page.ID, list[0].Name, ref.First)
	case last != nil && bytes.Compare(last, list[0].Name) >= 0:
		return nil, fmt.Errorf("%w: block %s: name %q after %q", ErrManifest, ref.Page.ID, list[0].Name, last)
	}
	return list, nil
}

// Extents yields a file's extents in order. It stops after an error.
func (t *Tree) Extents(ctx context.Context, file *Entry) iter.Seq2[manifest.Extent, error] {
	return func(yield func(manifest.Extent, error) bool) {
		for _, x := range file.Extents {
			if !yield(x, nil) {
				return
			}
		}
		for _, ref := range file.Pages {
			var page manifest.ExtentPage
			err := load(ctx, t.src, ref.Page.ID, &page)
			if err == nil {
				err = matchExtents(ref, &page)
			}
			if err != nil {
				yield(manifest.Extent{}, err)
				return
			}
			for _, x := range page.Extents {
				if !yield(x, nil) {
					return
				}
			}
		}
	}
}

func matchExtents(ref manifest.ExtentRef, page *manifest.ExtentPage) error {
	var sum uint64
	for _, x := range page.Extents {
		sum += x.Length
	}
	if uint64(len(page.Extents)) != ref.Count || sum != ref.Length {
		return fmt.Errorf("%w: block %s: %d extents of %d bytes, referred to with %d of %d",
			ErrManifest, ref.Page.ID, len(page.Extents), sum, ref.Count, ref.Length)
	}
	return nil
}

// ExtentBytes returns the bytes of a chunk that an extent names, or ErrManifest where the
// chunk is too short for it. They alias the chunk's.
func ExtentBytes(x manifest.Extent, chunk block.Block) ([]byte, error) {
	// Not the sum: of an extent that nobody has checked yet it may overflow.
	if n := uint64(chunk.Len()); x.Offset > n || x.Length > n-x.Offset {
		return nil, fmt.Errorf("%w: an extent of %d bytes at offset %d of chunk %s, which has %d",
			ErrManifest, x.Length, x.Offset, chunk.ID(), chunk.Len())
	}
	return chunk.Data()[x.Offset : x.Offset+x.Length], nil
}

// Census counts entries against what the root says, so that a tree which repeats
// the same nodes without end is noticed before it fills memory or disk. It is for one
// walk by one goroutine.
type Census struct {
	id    block.ID // of the snapshot
	stats manifest.Stats
	limit manifest.Stats
	links map[[manifest.LinkSize]byte][linkDigest]byte
}

// linkDigest is how many bytes are kept of the digest of what the names of a file have in
// common. Entries are not kept: each holds on to all of its page.
const linkDigest = 16

// NewCensus returns a census of the snapshot in which nothing was counted.
func (t *Tree) NewCensus() *Census {
	return &Census{id: t.id, limit: t.root.Stats, links: make(map[[manifest.LinkSize]byte][linkDigest]byte)}
}

// Add counts an entry at a depth, and reports whether it is a further name of a hard link
// of which it has seen one. A tree that is larger than the root says, or deeper than the
// format's bound, is ErrManifest, and so are names of one hard link that disagree.
func (c *Census) Add(e *Entry, path string, depth int) (further bool, err error) {
	if e.Type == manifest.Dir && depth > manifest.MaxDepth {
		return false, c.breach(path, "directories are nested deeper than %d", manifest.MaxDepth)
	}
	if e.Link != nil {
		group, sum := [manifest.LinkSize]byte(e.Link), linkSum(e)
		first, seen := c.links[group]
		switch {
		case !seen:
			c.links[group] = sum
		case first != sum:
			return false, c.breach(path, "other content or attributes than the hard link's first name")
		}
		further = seen
	}
	switch e.Type {
	case manifest.File:
		c.stats.Files++
		if !further {
			c.stats.Bytes += e.Size
		}
	case manifest.Dir:
		c.stats.Dirs++
	default:
		c.stats.Others++
	}
	if s, l := c.stats, c.limit; s.Files > l.Files || s.Dirs > l.Dirs || s.Others > l.Others || s.Bytes > l.Bytes {
		return false, c.breach(path, "the tree holds more than the root says: %d files, %d directories, %d others, %d bytes",
			l.Files, l.Dirs, l.Others, l.Bytes)
	}
	return further, nil
}

// linkSum is the digest of an entry without its name.
func linkSum(e *Entry) [linkDigest]byte {
	nameless := *e
	nameless.Name = nil
	sum := sha256.New()
	if err := nameless.MarshalCBOR(sum); err != nil {
		panic(err) // what was decoded has lengths that can be encoded, and a hash takes all
	}
	return [linkDigest]byte(sum.Sum(nil))
}

// breach says which snapshot breaks which rule, and where; of a path that is as
// long as a liar likes only the end is shown.
func (c *Census) breach(path, rule string, args ...any) error {
	const shown = 100
	if len(path) > shown {
		path = "…" + path[len(path)-shown:]
	}
	return fmt.Errorf("%w: snapshot %s: %q: %s", ErrManifest, c.id, path, fmt.Sprintf(rule, args...))
}

// SameFile reports whether two entries can be names of one file.
func SameFile(a, b *Entry) bool {
	x, y := *a, *b
	x.Name, y.Name = nil, nil
	return manifest.EqualEntries(&x, &y)
}
