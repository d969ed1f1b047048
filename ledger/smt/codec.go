package smt

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// What a tree in a page is made of.
const (
	tagEmpty  = 0x00
	tagInner  = 0x01
	tagPage   = 0x02
	tagLeaf   = 0x03
	tagRecord = 0x04
)

// recordNibbles stands where a page's key has its number of nibbles.
const recordNibbles = pathBits / 4

// pageKey returns the store's key of the page below the first depth bits of path.
func pageKey(version uint64, depth int, path *Digest) []byte {
	whole, odd := depth/8, depth%8 != 0
	key := make([]byte, 9, 9+sha256.Size)
	binary.BigEndian.PutUint64(key, version)
	key[8] = byte(depth / 4)
	key = append(key, path[:whole]...)
	if odd {
		key = append(key, path[whole]&0xf0)
	}
	return key
}

// recordKey returns the store's key of the record of the leaf at path.
func recordKey(version uint64, path *Digest) []byte {
	key := make([]byte, 9, 9+sha256.Size)
	binary.BigEndian.PutUint64(key, version)
	key[8] = recordNibbles
	return append(key, path[:]...)
}

// encodePage returns a page whose top is at that depth. What is not in the store
// yet is taken to be at version.
func encodePage(k *kids, depth int, version uint64) []byte {
	size := treeSize(k.left, depth+1, depth+pageBits) + treeSize(k.right, depth+1, depth+pageBits)
	b := make([]byte, 0, size)
	b = appendTree(b, k.left, depth+1, depth+pageBits, version)
	return appendTree(b, k.right, depth+1, depth+pageBits, version)
}

// treeSize returns the length of what appendTree appends.
func treeSize(n *node, depth, edge int) int {
	switch {
	case n == nil:
		return 1
	case n.leaf != nil && n.leaf.record != nil:
		return 1 + 8 + 2*sha256.Size
	case n.leaf != nil:
		return 3 + len(n.leaf.key) + len(n.leaf.value)
	case depth == edge:
		return 1 + 8 + sha256.Size
	default:
		return 1 + treeSize(n.left, depth+1, edge) + treeSize(n.right, depth+1, edge)
	}
}

// appendTree appends the subtree n of that depth in a page whose lower edge is at
// depth edge.
func appendTree(b []byte, n *node, depth, edge int, version uint64) []byte {
	at := func(c *cell) uint64 {
		if v, flushed := c.version(); flushed {
			return v
		}
		return version
	}
	switch {
	case n == nil:
		return append(b, tagEmpty)
	case n.leaf != nil && n.leaf.record != nil:
		b = binary.BigEndian.AppendUint64(append(b, tagRecord), at(&n.leaf.record.cell))
		b = append(b, n.leaf.path[:]...)
		return append(b, n.leaf.record.valueHash[:]...)
	case n.leaf != nil:
		b = append(b, tagLeaf, byte(len(n.leaf.key)), byte(len(n.leaf.value)))
		b = append(b, n.leaf.key...)
		return append(b, n.leaf.value...)
	case depth == edge:
		b = binary.BigEndian.AppendUint64(append(b, tagPage), at(&n.page.cell))
		return append(b, n.hash[:]...)
	default:
		b = appendTree(append(b, tagInner), n.left, depth+1, edge, version)
		return appendTree(b, n.right, depth+1, edge, version)
	}
}

// decodePage decodes a page whose top is at that depth. The leaves share b's memory.
func decodePage(b []byte, depth int) (*kids, error) {
	d := decoder{rest: b}
	k := &kids{left: d.tree(depth+1, depth+pageBits)}
	k.right = d.tree(depth+1, depth+pageBits)
	return k, d.finish()
}

// encodeRecord returns the record of a leaf.
func encodeRecord(e *Entry) []byte {
	b := make([]byte, 0, 2+len(e.Key)+len(e.Value))
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Key)))
	b = append(b, e.Key...)
	return append(b, e.Value...)
}

// decodeRecord decodes a record. The entry shares b's memory.
func decodeRecord(b []byte) (*Entry, error) {
	d := decoder{rest: b}
	e := &Entry{Key: d.bytes(int(d.uint16()))}
	e.Value = d.bytes(len(d.rest))
	if len(e.Key) > MaxKey || len(e.Value) > MaxValue || inlined(e.Key, e.Value) {
		d.fail("record of %d bytes of key and %d of value", len(e.Key), len(e.Value))
	}
	return e, d.finish()
}

// decoder reads fields from memory. After an error, which sticks, it returns zero
// values.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
		d.rest = nil
	}
}

// bytes reads n bytes, which share the input's memory.
func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.fail("%d bytes wanted, %d left", n, len(d.rest))
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint16() uint16 {
	if b := d.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) digest() (out Digest) {
	copy(out[:], d.bytes(len(out)))
	return out
}

// version reads the version of something stored.
func (d *decoder) version() uint64 {
	v := d.uint64()
	if v == math.MaxUint64 {
		d.fail("version %d", v)
	}
	return v
}

// tree reads what appendTree writes.
func (d *decoder) tree(depth, edge int) *node {
	switch tag := d.byte(); {
	case tag == tagEmpty:
		return nil
	case tag == tagInner && depth < edge:
		return d.inner(depth, edge)
	case tag == tagPage && depth == edge:
		version, hash := d.version(), d.digest()
		if hash == empty {
			d.fail("page with an empty hash")
		}
		return storedPage(version, &hash)
	case tag == tagLeaf:
		keyLen, valueLen := int(d.byte()), int(d.byte())
		key, value := d.bytes(keyLen), d.bytes(valueLen)
		if !inlined(key, value) {
			d.fail("leaf of %d bytes within a page", keyLen+valueLen)
		}
		path := Path(key)
		return newLeaf(&path, key, value)
	case tag == tagRecord:
		version, path, valueHash := d.version(), d.digest(), d.digest()
		return storedLeaf(version, &path, &valueHash)
	default:
		d.fail("tag %#x at depth %d", tag, depth)
		return nil
	}
}

func (d *decoder) inner(depth, edge int) *node {
	left := d.tree(depth+1, edge)
	n := join(depth, left, d.tree(depth+1, edge))
	if !n.isInner() {
		d.fail("inner node with one leaf at depth %d", depth)
	}
	return n
}

func (d *decoder) finish() error {
	if len(d.rest) > 0 {
		d.fail("%d bytes too many", len(d.rest))
	}
	return d.err
}
