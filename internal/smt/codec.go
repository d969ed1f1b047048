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

// encodePage returns the page whose top is given. What is not in the store yet is
// taken to be at version.
func encodePage(top *inner, version uint64) []byte {
	b := make([]byte, 0, treeSize(&top.kids[0])+treeSize(&top.kids[1]))
	b = appendTree(b, &top.kids[0], version)
	return appendTree(b, &top.kids[1], version)
}

// treeSize returns the length of what appendTree appends.
func treeSize(at *link) int {
	switch n := at.to.(type) {
	case *leaf:
		if n.record != nil {
			return 1 + 8 + 2*sha256.Size
		}
		return 3 + len(n.key) + len(n.value)
	case *page:
		return 1 + 8 + sha256.Size
	case *inner:
		return 1 + treeSize(&n.kids[0]) + treeSize(&n.kids[1])
	default:
		return 1
	}
}

// appendTree appends a subtree down to the pages below.
func appendTree(b []byte, at *link, version uint64) []byte {
	switch n := at.to.(type) {
	case *leaf:
		return appendLeaf(b, n, version)
	case *page:
		b = binary.BigEndian.AppendUint64(append(b, tagPage), n.versionOr(version))
		return append(b, at.hash[:]...)
	case *inner:
		b = appendTree(append(b, tagInner), &n.kids[0], version)
		return appendTree(b, &n.kids[1], version)
	default:
		return append(b, tagEmpty)
	}
}

func appendLeaf(b []byte, n *leaf, version uint64) []byte {
	if rec := n.record; rec != nil {
		b = binary.BigEndian.AppendUint64(append(b, tagRecord), rec.versionOr(version))
		b = append(b, n.path[:]...)
		return append(b, rec.valueHash[:]...)
	}
	b = append(b, tagLeaf, byte(len(n.key)), byte(len(n.value)))
	b = append(b, n.key...)
	return append(b, n.value...)
}

// versionOr returns the version the cell was flushed with, or else the one given.
func (c *cell) versionOr(version uint64) uint64 {
	if v, flushed := c.version(); flushed {
		return v
	}
	return version
}

// decodePage decodes a page whose top is at that depth. The leaves share b's memory.
func decodePage(b []byte, depth int) (*inner, error) {
	d := decoder{rest: b}
	top := new(inner)
	top.kids[0] = d.tree(depth+1, depth+pageBits)
	top.kids[1] = d.tree(depth+1, depth+pageBits)
	return top, d.finish()
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
func (d *decoder) tree(depth, edge int) link {
	switch tag := d.byte(); {
	case tag == tagEmpty:
		return link{}
	case tag == tagInner && depth < edge:
		return d.inner(depth, edge)
	case tag == tagPage && depth == edge:
		version, hash := d.version(), d.digest()
		if hash == (Digest{}) {
			d.fail("page with an empty hash")
		}
		return storedPage(version, hash)
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
		return link{}
	}
}

func (d *decoder) inner(depth, edge int) link {
	left, right := d.tree(depth+1, edge), d.tree(depth+1, edge)
	n := join(depth, &left, &right)
	if !n.isInner() {
		d.fail("inner node with less than two leaves at depth %d", depth)
	}
	return n
}

func (d *decoder) finish() error {
	if len(d.rest) > 0 {
		d.fail("%d bytes too many", len(d.rest))
	}
	return d.err
}
