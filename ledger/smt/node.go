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

// node is a leaf or an inner node; an empty subtree is nil. A node's content
// never changes. What may change is whether it is stored, and, once it is, whether
// it is in memory: those are a page's and a record's cells.
type node struct {
	hash        Digest
	left, right *node // of an inner node that is not the top of a page
	leaf        *leaf
	page        *page // of an inner node at the top of a page
}

// leaf is a key's leaf. Exactly one of (key, value) and record is used.
type leaf struct {
	path       Digest
	key, value []byte
	record     *record // nil when the leaf is kept within its page
}

// cell is what a page or a record knows about its copy in the store.
type cell struct {
	stored atomic.Uint64 // 1 + the version it was flushed with; 0 when it was not
	used   atomic.Bool   // read since the last Shed
}

// page holds the children of an inner node at the top of a page.
type page struct {
	cell
	kids atomic.Pointer[kids] // nil when not in memory
}

type kids struct{ left, right *node }

// record holds a leaf that is stored on its own.
type record struct {
	cell
	valueHash Digest
	entry     atomic.Pointer[Entry] // nil when not in memory
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

// is reports whether both are the same thing in the store.
func (c *cell) is(other *cell) bool {
	s := c.stored.Load()
	return s != 0 && s == other.stored.Load()
}

// inlined reports whether a leaf of these sizes is kept within its page.
func inlined(key, value []byte) bool { return len(key)+len(value) <= maxInline }

// newLeaf returns the leaf of a key whose path is known. It keeps key and value.
func newLeaf(path *Digest, key, value []byte) *node {
	valueHash := sha256.Sum256(value)
	n := &struct {
		node
		at leaf
	}{}
	n.at.path = *path
	n.node.leaf = &n.at
	n.node.hash = hashLeaf(path, &valueHash)
	if inlined(key, value) {
		n.at.key, n.at.value = key, value
	} else {
		n.at.record = &record{valueHash: valueHash}
		n.at.record.entry.Store(&Entry{key, value})
		n.at.record.used.Store(true)
	}
	return &n.node
}

// storedLeaf returns a leaf whose record is in the store.
func storedLeaf(version uint64, path, valueHash *Digest) *node {
	rec := &record{valueHash: *valueHash}
	rec.stored.Store(version + 1)
	return &node{hash: hashLeaf(path, valueHash), leaf: &leaf{path: *path, record: rec}}
}

// storedPage returns the top of a page that is in the store.
func storedPage(version uint64, hash *Digest) *node {
	n := newPage(hash)
	n.page.stored.Store(version + 1)
	return n
}

func newPage(hash *Digest) *node {
	n := &struct {
		node
		at page
	}{}
	n.node.page = &n.at
	n.node.hash = *hash
	return &n.node
}

// join returns the subtree at a depth that has these children.
func join(depth int, left, right *node) *node {
	switch {
	case left == nil && (right == nil || right.leaf != nil):
		return right
	case right == nil && left.leaf != nil:
		return left
	}
	hash := hashInner(digest(left), digest(right))
	if depth%pageBits != 0 {
		return &node{hash: hash, left: left, right: right}
	}
	n := newPage(&hash)
	n.page.kids.Store(&kids{left, right})
	n.page.used.Store(true)
	return n
}

// empty is the digest of an empty subtree. It is read only.
var empty Digest

// digest returns the hash of a subtree.
func digest(n *node) *Digest {
	if n == nil {
		return &empty
	}
	return &n.hash
}

func (n *node) isInner() bool { return n != nil && n.leaf == nil }
func (n *node) isPage() bool  { return n != nil && n.page != nil }

// ownRecord returns the record of a leaf that has one, nil otherwise.
func (n *node) ownRecord() *record {
	if n == nil || n.leaf == nil {
		return nil
	}
	return n.leaf.record
}

// valueHash returns the digest of a leaf's value.
func (l *leaf) valueHash() Digest {
	if l.record != nil {
		return l.record.valueHash
	}
	return sha256.Sum256(l.value)
}
