package smt

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// Change puts a key's value, or deletes the key.
type Change struct {
	Key, Value []byte
	Delete     bool // Value is not looked at
}

// Apply returns the map with the changes made. Of several changes of one key the
// last counts; deleting a key that is not there does nothing. The new map keeps
// the keys and values that it puts: the caller must not change their bytes.
//
// Each node above the changed keys is built once, so a few large batches cost less
// than many small ones. Errors are [ErrTooLarge], [ErrCorrupt] or the reader's, and
// leave the map as it was.
func (m Map) Apply(changes []Change) (Map, error) {
	edits, err := prepare(changes)
	if err != nil {
		return Map{}, err
	}
	if m.line == nil {
		m.line = new(line)
	}
	a := applier{line: m.line, count: m.count}
	root, err := a.update(&m.root, 0, edits)
	if err != nil {
		return Map{}, err
	}
	return Map{root: root, count: a.count, line: m.line}, nil
}

// edit is what becomes of a path: a leaf, or nothing.
type edit struct {
	path Digest
	leaf link
}

// prepare returns the edits in order of path, one for each key.
func prepare(changes []Change) ([]edit, error) {
	// What is sorted is small: the paths are looked at only when their first 8
	// bytes are equal, which is when they are.
	type item struct {
		prefix uint64
		index  int
	}
	paths := make([]Digest, len(changes))
	items := make([]item, len(changes))
	for i := range changes {
		c := &changes[i]
		if len(c.Key) > MaxKey || (!c.Delete && len(c.Value) > MaxValue) {
			return nil, fmt.Errorf("smt: %w: key of %d bytes, value of %d; at most %d and %d",
				ErrTooLarge, len(c.Key), len(c.Value), MaxKey, MaxValue)
		}
		paths[i] = Path(c.Key)
		items[i] = item{binary.BigEndian.Uint64(paths[i][:]), i}
	}
	slices.SortFunc(items, func(a, b item) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return cmp.Or(compare(&paths[a.index], &paths[b.index]), cmp.Compare(a.index, b.index))
	})
	edits := make([]edit, 0, len(items))
	for i, it := range items {
		path := &paths[it.index]
		if i+1 < len(items) && it.prefix == items[i+1].prefix && *path == paths[items[i+1].index] {
			continue // a later change of the same key follows
		}
		e := edit{path: *path}
		if c := &changes[it.index]; !c.Delete {
			e.leaf = newLeaf(path, c.Key, c.Value)
		}
		edits = append(edits, e)
	}
	return edits, nil
}

// applier makes one batch of edits.
type applier struct {
	line  *line
	count uint64
	seen  byte // makes warm's last reads matter, so that they are not left out
}

// update returns what becomes of the subtree of that depth when the edits are made,
// and the same link when they change nothing. All edits are below it.
func (a *applier) update(at *link, depth int, edits []edit) (link, error) {
	switch {
	case len(edits) == 0:
		return *at, nil
	case !at.isInner():
		return a.grow(at, depth, edits), nil
	}
	n, err := a.line.inner(at, depth, &edits[0].path)
	if err != nil {
		return link{}, err
	}
	half := cut(edits, depth)
	if len(edits) > warmGroup {
		a.warm(&n.kids[0], depth+1, edits[:half])
		a.warm(&n.kids[1], depth+1, edits[half:])
	}
	left, err := a.update(&n.kids[0], depth+1, edits[:half])
	if err != nil {
		return link{}, err
	}
	right, err := a.update(&n.kids[1], depth+1, edits[half:])
	if err != nil {
		return link{}, err
	}
	if left.to == n.kids[0].to && right.to == n.kids[1].to {
		return *at, nil
	}
	return join(depth, &left, &right), nil
}

// warmGroup is how many edits are warmed at once. Their nodes, a few hundred, fit the
// processor's nearer caches and its table of pages, which those of a batch do not.
const warmGroup = 64

// warm reads the nodes that a group of edits will meet, level by level: the reads of
// one level do not wait for one another, as those of update do. What is not in memory
// is left to update.
func (a *applier) warm(at *link, depth int, edits []edit) {
	if len(edits) > warmGroup {
		return // its halves will be
	}
	var ats [warmGroup]*link
	for i := range edits {
		ats[i] = at
	}
	for more := true; more; depth++ {
		more = false
		for i := range edits {
			var n *inner
			switch to := ats[i].to.(type) {
			case *inner:
				n = to
			case *page:
				n = to.top.Load()
			case *leaf:
				a.seen += to.path[0]
			}
			if n != nil {
				ats[i], more = n.child(bit(&edits[i].path, depth)), true
			}
		}
	}
}

// grow does the same where there is a leaf or nothing.
func (a *applier) grow(at *link, depth int, edits []edit) link {
	if len(edits) == 0 {
		return *at
	}
	n := at.leaf()
	if e := &edits[0]; len(edits) == 1 && (n == nil || e.leaf.isEmpty() || n.path == e.path) {
		return a.replace(at, e)
	}
	var old inner
	if n != nil {
		*old.child(bit(&n.path, depth)) = *at
	}
	half := cut(edits, depth)
	left := a.grow(&old.kids[0], depth+1, edits[:half])
	right := a.grow(&old.kids[1], depth+1, edits[half:])
	return join(depth, &left, &right)
}

// replace makes one edit where there is nothing or a leaf, of the same path unless
// the edit deletes.
func (a *applier) replace(at *link, e *edit) link {
	n := at.leaf()
	switch {
	case n == nil && !e.leaf.isEmpty():
		a.count++
		return e.leaf
	case n == nil || n.path != e.path || at.hash == e.leaf.hash:
		return *at
	case e.leaf.isEmpty():
		a.count--
	}
	return e.leaf
}

// cut returns how many of the edits go left at an inner node of that depth.
func cut(edits []edit, depth int) int {
	if len(edits) == 1 {
		return 1 - int(bit(&edits[0].path, depth))
	}
	low, high := 0, len(edits)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if bit(&edits[mid].path, depth) == 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
