package smt

import (
	"crypto/sha256"
	"sync/atomic"
)

const (
	// pageBits is the depth of a page in bits of the path.
	pageBits = 4
	// maxInline is the largest number of bytes of key and value together that a
	// leaf keeps within its page.
	maxInline = 128
)

// link is a subtree. The zero link is the empty one. The hash is kept with the
// parent rather than in the node, so that whoever changes one child need not bring
// the other from memory to hash both.
type link struct {
	hash Digest
	to   node
}

// node is what a link leads to: a *leaf, an *inner, or a *page in place of an inner
// node whose depth is a multiple of pageBits. A node's content never changes. What
// may change is whether it is stored and, once it is, whether it is in memory: those
// are the cells of pages and records.
type node interface{ isNode() }

func (*leaf) isNode()  {}
func (*inner) isNode() {}
func (*page) isNode()  {}

// inner is an inner node.
type inner struct{ kids [2]link }

// page is the part of the tree from an inner node down to the pages below.
type page struct {
	cell
	top atomic.Pointer[inner] // nil when not in memory
}

// leaf is a key's leaf. Exactly one of (key, value) and record is used.
type leaf struct {
	path       Digest
	key, value []byte
	record     *record // nil when the leaf is kept within its page
}

// record holds a key and value that are stored on their own.
type record struct {
	cell
	valueHash Digest
	entry     atomic.Pointer[Entry] // nil when not in memory
}

// cell is what a page or a record knows of its copy in the store.
type cell struct {
	stored atomic.Uint64 // 1 + the version it was flushed with; 0 when it was not
	used   atomic.Bool   // made or read since the last Shed
}

// Entry is a key with its value. Whoever gets one from a map must not change the
// bytes: they are the map's.
type Entry struct{ Key, Value []byte }

// touch notes that the cell was read. It looks before it writes, so that readers
// of a hot page do not fight over its cache line.
func (c *cell) touch() {
	if !c.used.Load() {
		c.used.Store(true)
	}
}

// version returns the version the cell was flushed with.
func (c *cell) version() (version uint64, flushed bool) {
	s := c.stored.Load()
	return s - 1, s != 0
}

// is reports whether two cells of one path are the same in the store.
func (c *cell) is(other *cell) bool {
	s := c.stored.Load()
	return s != 0 && s == other.stored.Load()
}

// leaf returns the leaf that the link leads to, nil when it is another node.
func (l *link) leaf() *leaf {
	n, _ := l.to.(*leaf)
	return n
}

// page returns the page that the link leads to, nil when it is another node.
func (l *link) page() *page {
	n, _ := l.to.(*page)
	return n
}

// record returns the record of the leaf that the link leads to, nil when it has
// none or is another node.
func (l *link) record() *record {
	if n := l.leaf(); n != nil {
		return n.record
	}
	return nil
}

func (l *link) isEmpty() bool { return l.to == nil }
func (l *link) isInner() bool { return l.to != nil && l.leaf() == nil }

// inlined reports whether a leaf of these sizes is kept within its page.
func inlined(key, value []byte) bool { return len(key)+len(value) <= maxInline }

// newLeaf returns the leaf of a key whose path is known. It keeps key and value.
func newLeaf(path *Digest, key, value []byte) link {
	valueHash := sha256.Sum256(value)
	n := &leaf{path: *path}
	if inlined(key, value) {
		n.key, n.value = key, value
	} else {
		n.record = &record{valueHash: valueHash}
		n.record.entry.Store(&Entry{key, value})
		n.record.used.Store(true)
	}
	return link{hashLeaf(path, &valueHash), n}
}

// storedLeaf returns a leaf whose record is in the store.
func storedLeaf(version uint64, path, valueHash *Digest) link {
	rec := &record{valueHash: *valueHash}
	rec.stored.Store(version + 1)
	return link{hashLeaf(path, valueHash), &leaf{path: *path, record: rec}}
}

// storedPage returns a page that is in the store.
func storedPage(version uint64, hash Digest) link {
	p := new(page)
	p.stored.Store(version + 1)
	return link{hash, p}
}

// join returns the subtree at a depth that has these children.
func join(depth int, left, right *link) link {
	switch {
	case left.isEmpty() && !right.isInner():
		return *right
	case right.isEmpty() && !left.isInner():
		return *left
	}
	l := link{hash: hashInner(&left.hash, &right.hash)}
	n := &inner{[2]link{*left, *right}}
	if depth%pageBits != 0 {
		l.to = n
		return l
	}
	p := new(page)
	p.top.Store(n)
	p.used.Store(true)
	l.to = p
	return l
}

// valueHash returns the digest of the leaf's value.
func (n *leaf) valueHash() Digest {
	if n.record != nil {
		return n.record.valueHash
	}
	return sha256.Sum256(n.value)
}
