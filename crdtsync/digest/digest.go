package digest

import (
	"crypto/sha256"
	"slices"
)

const (
	// Fan is how many branches there are below one.
	Fan = 16
	// MaxDepth is the most levels of a path.
	MaxDepth = 2 * sha256.Size
	// Few is how many entries of a branch are told in place of hashes at most: they take less.
	Few = 16
)

// Hash is the digest of a part of a tree. That of nothing is zero.
type Hash [sha256.Size]byte

// Entry is something that is held: what it is, and what there is of it.
type Entry struct{ Key, Value string }

// Tree holds entries. The zero value is empty.
type Tree struct{ top *node }

// node is a part of a tree with an entry or more. One with a single entry has no children.
type node struct {
	hash     Hash
	known    bool // the hash is that of what there is
	count    int
	path     [sha256.Size]byte
	entry    Entry
	children [Fan]*node
}

// Len returns how many entries there are.
func (t *Tree) Len() int { return t.top.len() }

func (n *node) len() int {
	if n == nil {
		return 0
	}
	return n.count
}

// Root returns the hash of all entries.
func (t *Tree) Root() Hash { return t.top.sum() }

// Put puts an entry in the place of the one with its key.
func (t *Tree) Put(e Entry) { t.top = t.top.put(sha256.Sum256([]byte(e.Key)), e, 0) }

// Delete takes out the entry of a key, if there is one.
func (t *Tree) Delete(key string) { t.top = t.top.remove(sha256.Sum256([]byte(key)), 0) }

// Get returns the value of a key, and whether there is one.
func (t *Tree) Get(key string) (string, bool) {
	path := sha256.Sum256([]byte(key))
	n := t.top
	for depth := 0; n != nil && n.count > 1; depth++ {
		n = n.children[nibble(&path, depth)]
	}
	if n == nil || n.path != path {
		return "", false
	}
	return n.entry.Value, true
}

// nibble returns four bits of a path.
func nibble(path *[sha256.Size]byte, depth int) byte {
	if depth%2 == 0 {
		return path[depth/2] >> 4
	}
	return path[depth/2] & 0xf
}

func (n *node) put(path [sha256.Size]byte, e Entry, depth int) *node {
	switch {
	case n == nil:
		return &node{count: 1, path: path, entry: e}
	case n.count == 1 && n.path == path:
		n.entry, n.known = e, false
		return n
	case n.count == 1: // the one that is there goes a level down
		below := *n
		*n = node{}
		n.children[nibble(&below.path, depth)] = &below
		n.count = 1
	}
	at := nibble(&path, depth)
	before := n.children[at].len()
	n.children[at] = n.children[at].put(path, e, depth+1)
	n.count += n.children[at].len() - before
	n.known = false
	return n
}

func (n *node) remove(path [sha256.Size]byte, depth int) *node {
	switch {
	case n == nil:
		return nil
	case n.count == 1 && n.path == path:
		return nil
	case n.count == 1:
		return n
	}
	at := nibble(&path, depth)
	before := n.children[at].len()
	n.children[at] = n.children[at].remove(path, depth+1)
	if gone := before - n.children[at].len(); gone > 0 {
		n.count -= gone
		n.known = false
	}
	if n.count == 1 { // the one that is left comes up
		i := slices.IndexFunc(n.children[:], func(c *node) bool { return c != nil })
		return n.children[i]
	}
	return n
}

func (n *node) sum() Hash {
	if n == nil {
		return Hash{}
	}
	if !n.known {
		var b []byte
		if n.count == 1 {
			value := sha256.Sum256([]byte(n.entry.Value))
			b = slices.Concat([]byte{0}, n.path[:], value[:])
		} else {
			b = make([]byte, 1, 1+Fan*len(Hash{}))
			b[0] = 1
			for _, c := range n.children {
				h := c.sum()
				b = append(b, h[:]...)
			}
		}
		n.hash, n.known = sha256.Sum256(b), true
	}
	return n.hash
}

// Prefix is the beginning of a path: a nibble a byte, below Fan each, at most MaxDepth.
type Prefix string

// PathOf returns the whole path of a key.
func PathOf(key string) Prefix {
	path := sha256.Sum256([]byte(key))
	whole := make([]byte, MaxDepth)
	for depth := range whole {
		whole[depth] = nibble(&path, depth)
	}
	return Prefix(whole)
}

// Valid reports whether it is one.
func (p Prefix) Valid() bool {
	return len(p) <= MaxDepth && !slices.ContainsFunc([]byte(p), func(b byte) bool { return b >= Fan })
}

// Branch is what a tree has at a prefix: entries, where there are few, or else the hashes of
// the prefixes that are one nibble longer.
type Branch struct {
	Entries []Entry // in order of their paths
	Hashes  []Hash  // Fan of them, or none
}

// Branch returns what the tree has at a valid prefix.
func (t *Tree) Branch(p Prefix) Branch {
	n := t.find(p)
	if n.len() <= Few {
		return Branch{Entries: n.all(nil)}
	}
	b := Branch{Hashes: make([]Hash, Fan)}
	for i, c := range n.children {
		b.Hashes[i] = c.sum()
	}
	return b
}

// At returns the hash of what the tree has at a valid prefix.
func (t *Tree) At(p Prefix) Hash { return t.find(p).sum() }

// find returns the part of the tree at a prefix, or nil.
func (t *Tree) find(p Prefix) *node {
	n := t.top
	for depth := range len(p) {
		switch {
		case n == nil:
			return nil
		case n.count == 1:
			for ; depth < len(p); depth++ {
				if nibble(&n.path, depth) != p[depth] {
					return nil
				}
			}
			return n
		}
		n = n.children[p[depth]]
	}
	return n
}

// all appends the entries of a part of a tree.
func (n *node) all(out []Entry) []Entry {
	switch {
	case n == nil:
		return out
	case n.count == 1:
		return append(out, n.entry)
	}
	for _, c := range n.children {
		out = c.all(out)
	}
	return out
}
