package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

// Item is an entry with its path below the top, which is empty for the top itself.
type Item struct {
	Path  string `json:"path"`
	Entry *Entry `json:"entry"`
}

var (
	// ErrNotInSnapshot is returned for a path that a snapshot does not hold.
	ErrNotInSnapshot = errors.New("no such path in the snapshot")
	// ErrNotDir is returned for something below what is no directory, or a list of it.
	ErrNotDir = errors.New("not a directory")
	// ErrNotFile is returned when the content of what is no regular file is asked for.
	ErrNotFile = errors.New("not a regular file")
)

// Walk yields everything in a snapshot, the top first and directories before what
// is in them, by name. It stops after an error.
func Walk(ctx context.Context, src Source, root block.ID) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		t, err := OpenTree(ctx, src, root)
		if err != nil {
			yield(Item{}, err)
			return
		}
		t.walk(ctx, t.top(), 0, t.NewCensus(), yield)
	}
}

// top returns the top of the tree, whose path is its name if it is a file.
func (t *Tree) top() Item { return Item{Path: string(t.root.Tree.Name), Entry: &t.root.Tree} }

func (t *Tree) walk(ctx context.Context, it Item, depth int, c *Census, yield func(Item, error) bool) bool {
	if _, err := c.Add(it.Entry, it.Path, depth); err != nil {
		yield(Item{}, err)
		return false
	}
	if !yield(it, nil) {
		return false
	}
	for e, err := range t.Entries(ctx, it.Entry) {
		if err != nil {
			yield(Item{}, err)
			return false
		}
		if !t.walk(ctx, Item{Path: join(it.Path, e.Name), Entry: e}, depth+1, c, yield) {
			return false
		}
	}
	return true
}

func join(dir string, name []byte) string {
	if dir == "" {
		return string(name)
	}
	return dir + "/" + string(name)
}

// List yields what is directly in the directory at path, or the file at path itself.
// It stops after an error.
func List(ctx context.Context, src Source, root block.ID, path string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		t, it, err := lookup(ctx, src, root, path)
		if err != nil {
			yield(Item{}, err)
			return
		}
		if it.Entry.Type != manifest.Dir {
			yield(it, nil)
			return
		}
		for e, err := range t.Entries(ctx, it.Entry) {
			if err != nil {
				yield(Item{}, err)
				return
			}
			if !yield(Item{Path: join(it.Path, e.Name), Entry: e}, nil) {
				return
			}
		}
	}
}

// Lookup returns the entry at path: the empty path, "." or "/" is the top. It
// returns ErrNotInSnapshot or ErrNotDir for a path that does not exist.
func Lookup(ctx context.Context, src Source, root block.ID, path string) (Item, error) {
	_, it, err := lookup(ctx, src, root, path)
	return it, err
}

func lookup(ctx context.Context, src Source, root block.ID, path string) (*Tree, Item, error) {
	t, err := OpenTree(ctx, src, root)
	if err != nil {
		return nil, Item{}, err
	}
	it := Item{Entry: &t.root.Tree}
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	if it.Entry.Type != manifest.Dir { // a snapshot of one file: its name leads to it
		it = t.top()
		if len(names) > 0 && names[0] == it.Path {
			names = names[1:]
		} else if len(names) > 0 {
			return nil, Item{}, fmt.Errorf("%w: %q", ErrNotInSnapshot, path)
		}
	}
	for _, name := range names {
		if it.Entry.Type != manifest.Dir {
			return nil, Item{}, fmt.Errorf("%q: %w: %q", path, ErrNotDir, it.Path)
		}
		e, err := t.child(ctx, it.Entry, name)
		if err != nil {
			return nil, Item{}, err
		}
		if e == nil {
			return nil, Item{}, fmt.Errorf("%w: %q", ErrNotInSnapshot, path)
		}
		it = Item{Path: join(it.Path, e.Name), Entry: e}
	}
	return t, it, nil
}

// child returns the entry with a name, or nil. Of a paged directory it reads one page.
func (t *Tree) child(ctx context.Context, dir *Entry, name string) (*Entry, error) {
	node, err := t.node(ctx, dir.Node.ID)
	if err != nil {
		return nil, err
	}
	list := node.Entries
	for i, ref := range node.Pages {
		if string(ref.First) > name || i+1 < len(node.Pages) && string(node.Pages[i+1].First) <= name {
			continue
		}
		if list, err = t.page(ctx, ref, nil); err != nil {
			return nil, err
		}
	}
	for i := range list {
		if string(list[i].Name) == name {
			return &list[i], nil
		}
	}
	return nil, nil
}

// Cat writes length bytes of the file at path, from offset on, to w; a negative
// length means to the end. It returns how many it wrote, which is less than length
// when the file ends before.
func Cat(ctx context.Context, src Source, root block.ID, path string, w io.Writer, offset, length int64) (int64, error) {
	t, it, err := lookup(ctx, src, root, path)
	if err != nil {
		return 0, err
	}
	if it.Entry.Type != manifest.File {
		return 0, fmt.Errorf("%q: %w", path, ErrNotFile)
	}
	if offset < 0 {
		return 0, fmt.Errorf("%q: negative offset %d", path, offset)
	}
	end := int64(it.Entry.Size)
	if length >= 0 && length < end-offset {
		end = offset + length
	}
	n, err := t.cat(ctx, it.Entry, w, offset, end)
	if err != nil {
		return n, fmt.Errorf("%q: %w", path, err)
	}
	return n, nil
}

// cat writes the bytes from start to end of a file.
func (t *Tree) cat(ctx context.Context, e *Entry, w io.Writer, start, end int64) (n int64, err error) {
	var buf []byte // for all chunks but the first: most files have no other
	pos := int64(0)
	for x, err := range t.Extents(ctx, e) {
		if err != nil {
			return n, err
		}
		from, to := max(start-pos, 0), min(end-pos, int64(x.Length))
		pos += int64(x.Length)
		if pos-int64(x.Length) >= end {
			return n, nil
		}
		if from >= to {
			continue
		}
		if n > 0 && buf == nil {
			buf = make([]byte, 0, block.MaxSize)
		}
		m, err := t.catExtent(ctx, x, buf, w, from, to)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (t *Tree) catExtent(ctx context.Context, x manifest.Extent, buf []byte, w io.Writer, from, to int64) (int64, error) {
	if x.Hole() {
		return io.CopyN(w, zeros{}, to-from)
	}
	b, err := t.src.Get(ctx, x.Chunk.ID, buf)
	if err != nil {
		return 0, fmt.Errorf("read chunk %s: %w", x.Chunk.ID, err)
	}
	data, err := ExtentBytes(x, b)
	if err != nil {
		return 0, err
	}
	n, err := w.Write(data[from:to])
	return int64(n), err
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
