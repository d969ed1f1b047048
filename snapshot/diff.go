package snapshot

import (
	"bytes"
	"context"
	"errors"
	"iter"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

// ChangeKind says what happened to a path from one snapshot to another.
type ChangeKind string

// The kinds of change.
const (
	Added    ChangeKind = "added"
	Removed  ChangeKind = "removed"
	Modified ChangeKind = "modified" // other content; other attributes, perhaps
	Metadata ChangeKind = "metadata" // other attributes, the same content
	Replaced ChangeKind = "replaced" // something of another type
)

// Change is one path that two snapshots disagree about.
type Change struct {
	Path   string     `json:"path"`
	Kind   ChangeKind `json:"kind"`
	Before *Entry     `json:"before,omitempty"`
	After  *Entry     `json:"after,omitempty"`
}

// Diff yields what changed from snapshot a to snapshot b, by path. Directories
// with the same node are not read, so it takes time for what changed only. What is
// in an added or removed directory is yielded too. The path of a file that is a snapshot's
// top is its name. It stops after an error.
func Diff(ctx context.Context, src Source, a, b block.ID) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		ta, err := OpenTree(ctx, src, a)
		if err != nil {
			yield(Change{}, err)
			return
		}
		tb, err := OpenTree(ctx, src, b)
		if err != nil {
			yield(Change{}, err)
			return
		}
		d := &differ{a: ta, b: tb, ca: ta.NewCensus(), cb: tb.NewCensus(), yield: yield}
		if err := d.tops(ctx); err != nil && !errors.Is(err, errStop) {
			yield(Change{}, err)
		}
	}
}

// differ compares two trees.
type differ struct {
	a, b   *Tree
	ca, cb *Census
	yield  func(Change, error) bool
}

// errStop says that the caller wants no more.
var errStop = errors.New("stop")

func (d *differ) tell(c Change) error {
	if !d.yield(c, nil) {
		return errStop
	}
	return nil
}

// tops compares the tops. Files of different names are different files, as in a directory.
func (d *differ) tops(ctx context.Context) error {
	a, b := d.a.top(), d.b.top()
	first := func() error { return d.one(ctx, d.a, d.ca, a.Path, a.Entry, Removed, 0) }
	second := func() error { return d.one(ctx, d.b, d.cb, b.Path, b.Entry, Added, 0) }
	switch {
	case a.Entry.Type != b.Entry.Type:
		return d.pair(ctx, "", a.Entry, b.Entry, 0)
	case a.Path == b.Path:
		return d.pair(ctx, a.Path, a.Entry, b.Entry, 0)
	case b.Path < a.Path:
		first, second = second, first
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

// pair compares two entries of one name.
func (d *differ) pair(ctx context.Context, path string, a, b *Entry, depth int) error {
	if _, err := d.ca.Add(a, path, depth); err != nil {
		return err
	}
	if _, err := d.cb.Add(b, path, depth); err != nil {
		return err
	}
	if a.Type != b.Type {
		if err := d.tell(Change{path, Replaced, a, b}); err != nil {
			return err
		}
		if err := d.below(ctx, d.a, d.ca, path, a, Removed, depth); err != nil {
			return err
		}
		return d.below(ctx, d.b, d.cb, path, b, Added, depth)
	}
	kind := ChangeKind("")
	switch {
	case a.Type == manifest.File && !manifest.EqualContent(a, b), a.Type == manifest.Symlink && !bytes.Equal(a.Target, b.Target):
		same, err := d.sameBytes(ctx, a, b)
		if err != nil {
			return err
		}
		if kind = Modified; same {
			kind = ""
		}
	}
	if kind == "" && !manifest.EqualMetadata(a, b) {
		kind = Metadata
	}
	if kind != "" {
		if err := d.tell(Change{path, kind, a, b}); err != nil {
			return err
		}
	}
	if a.Type != manifest.Dir || *a.Node == *b.Node {
		return nil
	}
	return d.directories(ctx, path, a, b, depth+1)
}

// directories merges two sorted lists of entries.
func (d *differ) directories(ctx context.Context, path string, a, b *Entry, depth int) error {
	nextA, stopA := iter.Pull2(d.a.Entries(ctx, a))
	defer stopA()
	nextB, stopB := iter.Pull2(d.b.Entries(ctx, b))
	defer stopB()
	ea, errA, okA := nextA()
	eb, errB, okB := nextB()
	for okA || okB {
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		order := 0
		switch {
		case !okA:
			order = 1
		case !okB:
			order = -1
		default:
			order = bytes.Compare(ea.Name, eb.Name)
		}
		var err error
		switch {
		case order < 0:
			err = d.one(ctx, d.a, d.ca, join(path, ea.Name), ea, Removed, depth)
		case order > 0:
			err = d.one(ctx, d.b, d.cb, join(path, eb.Name), eb, Added, depth)
		default:
			err = d.pair(ctx, join(path, ea.Name), ea, eb, depth)
		}
		if err != nil {
			return err
		}
		if order <= 0 {
			ea, errA, okA = nextA()
		}
		if order >= 0 {
			eb, errB, okB = nextB()
		}
	}
	return nil
}

// one tells of an entry that one side has alone, and of all below it.
func (d *differ) one(ctx context.Context, t *Tree, c *Census, path string, e *Entry, kind ChangeKind, depth int) error {
	if _, err := c.Add(e, path, depth); err != nil {
		return err
	}
	change := Change{Path: path, Kind: kind, After: e}
	if kind == Removed {
		change.Before, change.After = e, nil
	}
	if err := d.tell(change); err != nil {
		return err
	}
	return d.below(ctx, t, c, path, e, kind, depth)
}

func (d *differ) below(ctx context.Context, t *Tree, c *Census, path string, dir *Entry, kind ChangeKind, depth int) error {
	for e, err := range t.Entries(ctx, dir) {
		if err != nil {
			return err
		}
		if err := d.one(ctx, t, c, join(path, e.Name), e, kind, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// sameBytes compares small files that lie in different bundles: a neighbour's
// change moves a file to another chunk without changing it.
func (d *differ) sameBytes(ctx context.Context, a, b *Entry) (bool, error) {
	if a.Type != manifest.File || a.Size != b.Size || a.Size >= SmallFile {
		return false, nil
	}
	var x, y bytes.Buffer
	if _, err := d.a.cat(ctx, a, &x, 0, int64(a.Size)); err != nil {
		return false, err
	}
	if _, err := d.b.cat(ctx, b, &y, 0, int64(b.Size)); err != nil {
		return false, err
	}
	return bytes.Equal(x.Bytes(), y.Bytes()), nil
}
