package smt

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
)

// MaxChunk is the largest encoded [Chunk] in bytes.
const MaxChunk = 4 << 20

const chunkHeader = 2 * sha256.Size

// What a tree in a chunk is made of, besides tagEmpty and tagInner.
const (
	tagCut   = 0x02 // a subtree outside the range
	tagEntry = 0x03
	tagEdge  = 0x04 // a leaf outside the range that takes up a part of it
)

// Chunk has every entry whose path is from Start to End, and shows under which root
// that is so. Chunks come from [Map.Chunk] and [ParseChunk]; the zero Chunk is of no
// map.
type Chunk struct {
	start, end Digest
	entries    int
	tree       []byte
	root       Digest // of the tree
}

// Start returns the first path of the chunk's range.
func (c Chunk) Start() Digest { return c.start }

// End returns the last path of the chunk's range.
func (c Chunk) End() Digest { return c.end }

// Next returns where the next chunk starts, and false when this one is the last.
func (c Chunk) Next() (Digest, bool) { return increment(c.end) }

// Len returns the number of entries.
func (c Chunk) Len() int { return c.entries }

// Entries returns the entries in order of path. They share the chunk's memory.
func (c Chunk) Entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		d := decoder{rest: c.tree}
		for len(d.rest) > 0 {
			switch d.byte() {
			case tagCut:
				d.bytes(sha256.Size)
			case tagEdge:
				d.bytes(2 * sha256.Size)
			case tagEntry:
				if !yield(d.entry()) {
					return
				}
			}
		}
	}
}

// VerifyChunk returns nil when the chunk has every entry of its range that the map
// with that root has, and [ErrProof] otherwise.
func VerifyChunk(root Digest, c Chunk) error {
	if len(c.tree) == 0 || c.root != root {
		return fmt.Errorf("smt: chunk from %x under root %x: %w", c.start, root, ErrProof)
	}
	return nil
}

// AppendBinary appends the chunk's one encoding. The error is nil.
func (c Chunk) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, c.start[:]...)
	b = append(b, c.end[:]...)
	return append(b, c.tree...), nil
}

// Chunk returns the entries from a path on, as many as an encoding of maxBytes has
// room for. It has one even when that takes more, so that chunk after chunk the end
// is reached; maxBytes above [MaxChunk] means MaxChunk.
func (m Map) Chunk(start Digest, maxBytes int) (Chunk, error) {
	c := chunker{line: m.line, start: start, limit: min(maxBytes, MaxChunk) - chunkHeader}
	if err := c.walk(&m.root, 0); err != nil {
		return Chunk{}, err
	}
	if !c.full {
		c.end = lastPath()
	}
	return Chunk{start: start, end: c.end, entries: c.entries, tree: c.out, root: m.Root()}, nil
}

// chunker writes the tree of a chunk.
type chunker struct {
	line    *line
	start   Digest
	limit   int    // of out, in bytes
	path    Digest // of the position, to its depth
	out     []byte
	rest    int // bytes that what is not visited yet takes when it is cut off
	entries int
	end     Digest // path of the last entry
	full    bool   // the next entry does not fit: all that follows is cut off
}

func (c *chunker) walk(at *link, depth int) error {
	if at.isEmpty() {
		c.out = append(c.out, tagEmpty)
		return nil
	}
	if c.full || comparePrefix(&c.path, &c.start, depth) < 0 {
		c.cut(at)
		return nil
	}
	if n := at.leaf(); n != nil {
		return c.leaf(at, n)
	}
	n, err := c.line.inner(at, depth, &c.path)
	if err != nil {
		return err
	}
	begin, before := len(c.out), c.entries
	c.out = append(c.out, tagInner)
	rest := cutSize(&n.kids[1])
	c.rest += rest
	if err := c.walk(&n.kids[0], depth+1); err != nil {
		return err
	}
	c.rest -= rest
	setBit(&c.path, depth)
	err = c.walk(&n.kids[1], depth+1)
	clearBit(&c.path, depth)
	if c.full && c.entries == before {
		// Its first entry did not fit, so the chunk ends before this node.
		c.out = c.out[:begin]
		c.cut(at)
	}
	return err
}

func (c *chunker) cut(at *link) {
	c.out = append(c.out, tagCut)
	c.out = append(c.out, at.hash[:]...)
}

// cutSize returns how much a subtree takes when it is cut off.
func cutSize(at *link) int {
	if at.isEmpty() {
		return 1
	}
	return 1 + sha256.Size
}

func (c *chunker) leaf(at *link, n *leaf) error {
	if compare(&n.path, &c.start) < 0 {
		valueHash := n.valueHash()
		c.out = append(append(c.out, tagEdge), n.path[:]...)
		c.out = append(c.out, valueHash[:]...)
		return nil
	}
	e, err := c.line.entry(n)
	if err != nil {
		return err
	}
	size := 1 + 2 + 4 + len(e.Key) + len(e.Value)
	if c.entries > 0 && len(c.out)+size+c.rest > c.limit {
		c.full = true
		c.cut(at)
		return nil
	}
	c.out = append(c.out, tagEntry)
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(e.Key)))
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(len(e.Value)))
	c.out = append(c.out, e.Key...)
	c.out = append(c.out, e.Value...)
	c.entries++
	c.end = n.path
	return nil
}

// ParseChunk decodes a chunk. The chunk keeps b. It returns [ErrMalformed] for bytes
// that are no chunk's, whatever the root.
func ParseChunk(b []byte) (Chunk, error) {
	if len(b) > MaxChunk {
		return Chunk{}, fmt.Errorf("smt: chunk of %d bytes: %w", len(b), ErrMalformed)
	}
	d := decoder{rest: b}
	p := chunkParser{decoder: &d, start: d.digest(), end: d.digest()}
	tree := d.rest
	root := p.tree(0)
	if last := lastPath(); p.end != last && (p.entries == 0 || p.end != p.last) {
		d.fail("chunk that does not end with its last entry")
	}
	if compare(&p.start, &p.end) > 0 {
		d.fail("chunk that ends before it starts")
	}
	if err := d.finish(); err != nil {
		return Chunk{}, err
	}
	return Chunk{start: p.start, end: p.end, entries: p.entries, tree: tree, root: root}, nil
}

// chunkParser reads the tree of a chunk and hashes it.
type chunkParser struct {
	*decoder
	start, end Digest
	path       Digest // of the position, to its depth
	last       Digest // path of the last entry
	entries    int
}

// tree returns the hash of the subtree that follows.
func (p *chunkParser) tree(depth int) Digest {
	outside := comparePrefix(&p.path, &p.start, depth) < 0 || comparePrefix(&p.path, &p.end, depth) > 0
	switch tag := p.byte(); {
	case tag == tagEmpty:
		return Digest{}
	case tag == tagCut && outside:
		hash := p.digest()
		if hash == (Digest{}) {
			p.fail("empty subtree cut off at depth %d", depth)
		}
		return hash
	case tag == tagInner && !outside && depth < pathBits:
		return p.inner(depth)
	case tag == tagEntry && !outside:
		return p.leaf(depth)
	case tag == tagEdge && !outside:
		return p.edge(depth)
	default:
		p.fail("tag %#x at depth %d of a chunk", tag, depth)
		return Digest{}
	}
}

func (p *chunkParser) inner(depth int) Digest {
	left := p.tree(depth + 1)
	setBit(&p.path, depth)
	right := p.tree(depth + 1)
	clearBit(&p.path, depth)
	return hashInner(&left, &right)
}

func (p *chunkParser) leaf(depth int) Digest {
	e := p.entry()
	path, valueHash := Path(e.Key), sha256.Sum256(e.Value)
	if !p.inRange(&path) || comparePrefix(&path, &p.path, depth) != 0 {
		p.fail("entry that is not in its place")
	}
	p.entries++
	p.last = path
	return hashLeaf(&path, &valueHash)
}

func (p *chunkParser) edge(depth int) Digest {
	path, valueHash := p.digest(), p.digest()
	if p.inRange(&path) || comparePrefix(&path, &p.path, depth) != 0 {
		p.fail("leaf at the edge that is not in its place")
	}
	return hashLeaf(&path, &valueHash)
}

func (p *chunkParser) inRange(path *Digest) bool {
	return compare(path, &p.start) >= 0 && compare(path, &p.end) <= 0
}

// entry reads a key and a value, which share the input's memory.
func (d *decoder) entry() Entry {
	keyLen, valueLen := d.uint16(), d.uint32()
	if keyLen > MaxKey || valueLen > MaxValue {
		d.fail("entry of %d bytes of key and %d of value", keyLen, valueLen)
		return Entry{}
	}
	return Entry{d.bytes(int(keyLen)), d.bytes(int(valueLen))}
}
