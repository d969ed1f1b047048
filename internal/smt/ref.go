package smt

import "encoding/binary"

// MaxRootRef is the largest encoded [RootRef] in bytes.
const MaxRootRef = 3 + maxInline + 8

// RootRef says where in the store a map's root is. It is what the caller keeps with
// a block, in the same atomic batch as the nodes. The zero RootRef is the empty map.
// RootRefs are equal (==) when they name the same nodes.
type RootRef struct {
	kind   byte   // tagEmpty, tagPage, tagLeaf or tagRecord
	stored uint64 // 1 + version, of a page or a record
	hash   Digest // of a page, or a record's value
	path   Digest // of a record
	key    string // of a leaf
	value  string
	count  uint64
}

// Ref returns where a flushed map's root is, and [ErrNotFlushed] for another map.
func (m Map) Ref() (RootRef, error) {
	ref := RootRef{count: m.count}
	switch n := m.root.to.(type) {
	case *page:
		ref.kind, ref.stored, ref.hash = tagPage, n.stored.Load(), m.root.hash
	case *leaf:
		if n.record == nil {
			ref.kind, ref.key, ref.value = tagLeaf, string(n.key), string(n.value)
			return ref, nil
		}
		ref.kind, ref.stored = tagRecord, n.record.stored.Load()
		ref.path, ref.hash = n.path, n.record.valueHash
	default:
		return ref, nil
	}
	if ref.stored == 0 {
		return RootRef{}, ErrNotFlushed
	}
	return ref, nil
}

// Root returns the digest of the map's content.
func (r RootRef) Root() Digest { return r.link().hash }

// Len returns the map's number of keys.
func (r RootRef) Len() uint64 { return r.count }

// link returns the root, of which nothing is loaded.
func (r RootRef) link() link {
	switch r.kind {
	case tagPage:
		return storedPage(r.stored-1, r.hash)
	case tagRecord:
		return storedLeaf(r.stored-1, &r.path, &r.hash)
	case tagLeaf:
		key := []byte(r.key)
		path := Path(key)
		return newLeaf(&path, key, []byte(r.value))
	default:
		return link{}
	}
}

// AppendBinary appends the ref's one encoding, of at most [MaxRootRef] bytes. The
// error is nil.
func (r RootRef) AppendBinary(b []byte) ([]byte, error) {
	root := r.link()
	b = appendTree(b, &root, 0)
	return binary.BigEndian.AppendUint64(b, r.count), nil
}

// ParseRootRef decodes a ref. It returns [ErrMalformed] for bytes that are none.
func ParseRootRef(b []byte) (RootRef, error) {
	d := decoder{rest: b}
	m := Map{root: d.tree(0, 0), count: d.uint64()}
	if m.root.isInner() != (m.count > 1) || m.root.isEmpty() != (m.count == 0) {
		d.fail("root of %d keys", m.count)
	}
	if err := d.finish(); err != nil {
		return RootRef{}, err
	}
	return m.Ref()
}
