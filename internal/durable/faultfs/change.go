package faultfs

import "slices"

// node is a file: as programs see it, as it is on the disk for sure, and the
// changes between the two.
type node struct {
	cur    content
	synced content
	log    []change
}

// change is a write, or a change of a file's metadata.
type change struct {
	kind changeKind
	off  int64
	n    int64
	data []byte // of a write; never changed
}

type changeKind uint8

const (
	write    changeKind = iota
	truncate            // to n bytes
	allocate
	punch
)

// applyTo makes the change to a content.
func (c *change) applyTo(b *content) {
	switch c.kind {
	case write:
		b.write(c.data, c.off)
	case truncate:
		b.resize(c.n)
	case allocate:
		b.reserve(c.off, c.n)
	case punch:
		b.zero(c.off, c.n)
	}
}

// clone returns a copy that shares pages and changes.
func (n *node) clone() *node {
	return &node{cur: n.cur.clone(), synced: n.synced.clone(), log: slices.Clip(n.log)}
}

// sync makes all changes durable.
func (n *node) sync() {
	for i := range n.log {
		n.log[i].applyTo(&n.synced)
	}
	n.log = nil
}

// evict forgets what programs see, where the disk was told of it.
func (n *node) evict() {
	n.cur = n.synced.clone()
	for i := range n.log {
		n.log[i].applyTo(&n.cur)
	}
}
