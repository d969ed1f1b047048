package smt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
)

const (
	// MaxKey is the largest key in bytes.
	MaxKey = 1 << 10
	// MaxValue is the largest value in bytes.
	MaxValue = 128 << 10
)

var (
	// ErrCorrupt is returned when the store does not hold what the tree says.
	ErrCorrupt = errors.New("stored node does not match its hash")
	// ErrMalformed is returned for bytes that no encoder of this package writes.
	ErrMalformed = errors.New("malformed encoding")
	// ErrTooLarge is returned for a key or a value above its bound.
	ErrTooLarge = errors.New("key or value above its bound")
	// ErrProof is returned for a proof or a chunk that does not show what it should.
	ErrProof = errors.New("proof does not hold")
	// ErrVersion is returned for a version that is not above the last one flushed.
	ErrVersion = errors.New("version is not above the last one flushed")
	// ErrFork is returned for a map that does not descend from the one flushed last.
	ErrFork = errors.New("map does not descend from the one flushed last")
	// ErrNotFlushed is returned when a map's place in the store is asked for and it has none.
	ErrNotFlushed = errors.New("map is not flushed")
)

// Reader reads nodes that a [Sink] was given. It is called by every method that
// meets a part of the map which is not in memory, so it must be safe for as many
// callers as the maps have.
type Reader interface {
	// Get returns the value of a key. The bytes are the map's from then on: nobody
	// changes them. A key that the store does not have is an error.
	Get(key []byte) ([]byte, error)
}

// Map is one version of the map. The zero Map is empty and lives in memory only.
//
// A Map never changes, is small, and is used by value. Any number of goroutines
// may read it and derive from it while others do the same with maps it shares
// nodes with. [Map.Flush] and [Map.Shed] may run beside them, but only one of the
// two at a time among maps that descend from one another.
type Map struct {
	root  link
	count uint64
	line  *line
}

// line is what the maps that descend from one another have in common.
type line struct {
	reader Reader // nil for maps that live in memory only

	// What follows is Flush's.
	base link   // the root that was flushed last
	next uint64 // the lowest version that may be flushed
}

// Open returns the map that ref names, of which nothing is read yet: nodes are
// loaded as they are needed. The zero ref opens an empty map that can be flushed to
// the store and shed. Two maps that are opened separately do not know of each
// other: of those, one may be derived from and flushed.
func Open(reader Reader, ref RootRef) Map {
	root := ref.link()
	return Map{root: root, count: ref.count, line: &line{reader: reader, base: root, next: ref.stored}}
}

// Root returns the digest of the map's content.
func (m Map) Root() Digest { return m.root.hash }

// Len returns the number of keys.
func (m Map) Len() uint64 { return m.count }

// Get returns the value of a key and whether the map has it. The caller must not
// change the bytes. Errors are the reader's, or [ErrCorrupt].
func (m Map) Get(key []byte) (value []byte, ok bool, err error) {
	path := Path(key)
	at := &m.root
	for depth := 0; at.isInner(); depth++ {
		n, err := m.line.inner(at, depth, &path)
		if err != nil {
			return nil, false, err
		}
		at = n.child(bit(&path, depth))
	}
	n := at.leaf()
	if n == nil || n.path != path {
		return nil, false, nil
	}
	e, err := m.line.entry(n)
	return e.Value, err == nil, err
}

// All returns the entries in order of path. An error ends the iteration.
func (m Map) All() iter.Seq2[Entry, error] { return m.From(Digest{}) }

// From returns the entries whose path is start or later, in order of path. An error
// ends the iteration.
func (m Map) From(start Digest) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		w := walker{line: m.line, start: start, yield: yield}
		w.walk(&m.root, 0)
	}
}

// walker visits the leaves from a path on.
type walker struct {
	line  *line
	start Digest
	path  Digest // of the node that is visited, to its depth
	yield func(Entry, error) bool
}

// walk reports whether to go on.
func (w *walker) walk(at *link, depth int) bool {
	if at.isEmpty() || comparePrefix(&w.path, &w.start, depth) < 0 {
		return true
	}
	if n := at.leaf(); n != nil {
		if compare(&n.path, &w.start) < 0 {
			return true
		}
		e, err := w.line.entry(n)
		return w.yield(e, err) && err == nil
	}
	n, err := w.line.inner(at, depth, &w.path)
	if err != nil {
		w.yield(Entry{}, err)
		return false
	}
	if !w.walk(&n.kids[0], depth+1) {
		return false
	}
	setBit(&w.path, depth)
	more := w.walk(&n.kids[1], depth+1)
	clearBit(&w.path, depth)
	return more
}

// child returns a node's child on the side of a path's bit.
func (n *inner) child(bit byte) *link { return &n.kids[bit&1] }

// inner returns the inner node that a link of that depth leads to. Of path, the
// first depth bits are looked at. A page that is not in memory is loaded, and stays.
func (s *line) inner(at *link, depth int, path *Digest) (*inner, error) {
	p := at.page()
	if p == nil {
		n, _ := at.to.(*inner)
		return n, nil
	}
	p.touch()
	if top := p.top.Load(); top != nil {
		return top, nil
	}
	top, err := s.loadPage(at, depth, path)
	if err != nil {
		return nil, err
	}
	p.top.Store(top)
	return top, nil
}

// split returns what is below a link on either side. A leaf is on its own side.
func (s *line) split(at *link, depth int, path *Digest) (*inner, error) {
	n := at.leaf()
	switch {
	case at.isEmpty():
		return &inner{}, nil
	case n == nil:
		return s.inner(at, depth, path)
	case bit(&n.path, depth) == 0:
		return &inner{[2]link{*at, {}}}, nil
	default:
		return &inner{[2]link{{}, *at}}, nil
	}
}

// entry returns a leaf's key and value. A record that is not in memory is loaded,
// and stays.
func (s *line) entry(n *leaf) (Entry, error) {
	if n.record == nil {
		return Entry{n.key, n.value}, nil
	}
	n.record.touch()
	if e := n.record.entry.Load(); e != nil {
		return *e, nil
	}
	e, err := s.loadRecord(n)
	if err != nil {
		return Entry{}, err
	}
	n.record.entry.Store(e)
	return *e, nil
}

func (s *line) loadPage(at *link, depth int, path *Digest) (*inner, error) {
	version, _ := at.page().version()
	key := pageKey(version, depth, path)
	b, err := s.reader.Get(key)
	if err != nil {
		return nil, fmt.Errorf("smt: read page %x: %w", key, err)
	}
	top, err := decodePage(b, depth)
	if err != nil {
		return nil, fmt.Errorf("smt: page %x: %w: %w", key, ErrCorrupt, err)
	}
	if hashInner(&top.kids[0].hash, &top.kids[1].hash) != at.hash {
		return nil, fmt.Errorf("smt: page %x: %w", key, ErrCorrupt)
	}
	return top, nil
}

func (s *line) loadRecord(n *leaf) (*Entry, error) {
	version, _ := n.record.version()
	key := recordKey(version, &n.path)
	b, err := s.reader.Get(key)
	if err != nil {
		return nil, fmt.Errorf("smt: read leaf %x: %w", key, err)
	}
	e, err := decodeRecord(b)
	if err != nil {
		return nil, fmt.Errorf("smt: leaf %x: %w: %w", key, ErrCorrupt, err)
	}
	if Path(e.Key) != n.path || sha256.Sum256(e.Value) != n.record.valueHash {
		return nil, fmt.Errorf("smt: leaf %x: %w", key, ErrCorrupt)
	}
	return e, nil
}
