package memstore

import (
	"bytes"
	"slices"

	"github.com/decube/decube/internal/records"
)

// node is a treap: a binary tree in order of the keys, in which each node outranks
// those below it. Ranks follow from the keys, so that the same keys make the same tree
// in whatever order they came. Nil is the empty tree, and no node ever changes.
type node struct {
	key         []byte
	rank        uint64
	versions    []version // in order, at least one
	left, right *node
}

// version is what a key has since one of the versions.
type version struct {
	number  uint64
	value   []byte
	deleted bool
}

// rank returns FNV-1a of a key, mixed: of keys that differ in their last bytes alone
// the sums are close, and the tree would be a list.
func rank(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range key {
		h = (h ^ uint64(b)) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// below reports whether n belongs below a node with a rank and key.
func (n *node) below(rank uint64, key []byte) bool {
	if rank != n.rank {
		return rank > n.rank
	}
	return bytes.Compare(key, n.key) < 0
}

// find returns the node of a key, or nil.
func (n *node) find(key []byte) *node {
	for n != nil {
		switch c := bytes.Compare(key, n.key); {
		case c == 0:
			return n
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return nil
}

// upTo returns the newest version up to a number, or nil if there is none or it has
// been discarded: when a newer one is not above the number up to which versions are.
func (n *node) upTo(number, discarded uint64) *version {
	for i := len(n.versions) - 1; i >= 0; i-- {
		if n.versions[i].number > number {
			continue
		}
		if i+1 < len(n.versions) && n.versions[i+1].number <= discarded {
			return nil
		}
		return &n.versions[i]
	}
	return nil
}

// put returns a tree in which a key has one version more.
func (n *node) put(key []byte, v version, discarded uint64) *node {
	return n.set(&node{key: slices.Clone(key), rank: rank(key), versions: []version{v}}, discarded)
}

// set returns a tree with a node that has one version.
func (n *node) set(one *node, discarded uint64) *node {
	if n == nil {
		return one
	}
	order := bytes.Compare(one.key, n.key)
	if order != 0 && n.below(one.rank, one.key) {
		// What outranks n cannot be under it yet: it would have been above.
		one.left, one.right = n.split(one.key)
		return one
	}
	c := *n
	switch {
	case order == 0:
		c.versions = with(n.versions, one.versions[0], discarded)
	case order < 0:
		c.left = n.left.set(one, discarded)
	default:
		c.right = n.right.set(one, discarded)
	}
	return &c
}

// with returns versions and one more, without those that were discarded.
func with(old []version, v version, discarded uint64) []version {
	at, exists := slices.BinarySearchFunc(old, v.number, func(o version, number uint64) int {
		switch {
		case o.number < number:
			return -1
		case o.number > number:
			return 1
		}
		return 0
	})
	all := make([]version, 0, len(old)+1)
	all = append(append(all, old[:at]...), v)
	if exists {
		at++
	}
	all = append(all, old[at:]...)
	first := 0
	for first+1 < len(all) && all[first+1].number <= discarded {
		first++
	}
	return all[first:]
}

// split returns the trees of what is before a key, and of the rest.
func (n *node) split(key []byte) (before, rest *node) {
	if n == nil {
		return nil, nil
	}
	c := *n
	if bytes.Compare(n.key, key) < 0 {
		c.right, rest = n.right.split(key)
		return &c, rest
	}
	before, c.left = n.left.split(key)
	return before, &c
}

// joined returns the tree of two, of which all keys of one are before the other's.
func joined(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.below(b.rank, b.key):
		c := *b
		c.left = joined(a, b.left)
		return &c
	default:
		c := *a
		c.right = joined(a.right, b)
		return &c
	}
}

// without returns a tree without the keys that have a prefix.
func (n *node) without(prefix []byte) *node {
	before, rest := n.split(prefix)
	end := after(prefix)
	if end == nil {
		return before
	}
	_, rest = rest.split(end)
	return joined(before, rest)
}

// after returns the first key that is after all with a prefix, or nil if there is
// none.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// walk calls visit for the nodes of a range, in its order, until one says no.
func (n *node) walk(r *records.Range, visit func(*node) bool) bool {
	if n == nil {
		return true
	}
	inside := bytes.HasPrefix(n.key, r.Prefix)
	cmp := bytes.Compare(n.key, r.Prefix)
	first, second := n.left, n.right
	tooSmall, tooLarge := !inside && cmp < 0, !inside && cmp > 0
	if r.From != nil {
		order := bytes.Compare(n.key, r.From)
		tooSmall = tooSmall || !r.Reverse && order < 0
		tooLarge = tooLarge || r.Reverse && order > 0
	}
	if r.Reverse {
		first, second = n.right, n.left
		tooSmall, tooLarge = tooLarge, tooSmall
	}
	// In the order of the walk, what is too small has nothing before it, and what is
	// too large nothing behind.
	if !tooSmall && !first.walk(r, visit) {
		return false
	}
	if !tooSmall && !tooLarge && !visit(n) {
		return false
	}
	return tooLarge || second.walk(r, visit)
}
