package smt

import (
	"fmt"
	"iter"
	"math"
)

// Sink takes what a flush has to say to the store. The slices are the sink's.
type Sink interface {
	// Put takes a record of the store. No key is put twice in a map's history,
	// except by a [Builder].
	Put(key, value []byte) error
	// Stale takes the key of a record that this version no longer needs and the
	// one flushed before it does. Once no version before this one is to be read, the
	// record may be deleted; it is never put again.
	Stale(key []byte) error
}

// Flush gives the sink every node that the store does not have, and the key of every
// record that the map flushed before this one has and this one has not. It returns
// where the root is, for [Open].
//
// Versions rise from one flush to the next, and each map that is flushed descends
// from the one before: [ErrVersion] and [ErrFork] otherwise. Maps in between need
// not be flushed; their nodes are then never written. To keep the versions from v
// on readable, delete what the flushes of versions up to v called stale.
//
// The sink collects one batch that the caller commits together with the ref. An
// error, the sink's or another, leaves the map not flushed. If the commit fails the
// nodes are not where the maps believe they are: drop them, and open the last ref
// that was committed. Shed only what was committed.
func (m Map) Flush(version uint64, sink Sink) (RootRef, error) {
	if m.line == nil {
		return RootRef{}, nil // empty, and never derived from
	}
	if version < m.line.next || version == math.MaxUint64 {
		return RootRef{}, fmt.Errorf("smt: flush version %d: %w (%d)", version, ErrVersion, m.line.next-1)
	}
	return m.flush(version, sink)
}

func (m Map) flush(version uint64, sink Sink) (RootRef, error) {
	f := flusher{line: m.line, version: version, sink: sink}
	if err := f.walk(&m.root, &m.line.base, 0); err != nil {
		return RootRef{}, err
	}
	for _, c := range f.written {
		c.stored.Store(version + 1)
	}
	m.line.base, m.line.next = m.root, version+1
	return m.Ref()
}

// flusher holds a map against the one flushed before it. Both are walked together,
// position by position; where they are the same in the store, the walk turns back.
type flusher struct {
	line    *line
	version uint64
	sink    Sink
	path    Digest // of the position, to its depth
	written []*cell
}

// walk visits one position: at in the new map, old in the one before. A leaf whose
// position is above the walk's is seen on its way down to where the other map has
// something.
func (f *flusher) walk(at, old *link, depth int) error {
	if at.to == old.to {
		return nil
	}
	if !at.isInner() && !old.isInner() {
		return f.leaf(at, old)
	}
	if same, err := f.page(at, old, depth); same || err != nil {
		return err
	}
	n, err := f.line.split(at, depth, &f.path)
	if err != nil {
		return err
	}
	o, err := f.line.split(old, depth, &f.path)
	if err != nil {
		return err
	}
	if err := f.walk(&n.kids[0], &o.kids[0], depth+1); err != nil {
		return err
	}
	setBit(&f.path, depth)
	err = f.walk(&n.kids[1], &o.kids[1], depth+1)
	clearBit(&f.path, depth)
	return err
}

// page compares two pages, each of which may be another node. It reports whether
// they are the same page, below which nothing differs.
func (f *flusher) page(at, old *link, depth int) (same bool, err error) {
	p, oldPage := at.page(), old.page()
	if p != nil {
		if oldPage != nil && p.is(&oldPage.cell) {
			return true, nil
		}
		value := func() []byte { return encodePage(p.top.Load(), f.version) }
		if err := f.put(&p.cell, pageKey(f.version, depth, &f.path), value); err != nil {
			return false, err
		}
	}
	if oldPage != nil {
		if v, _ := oldPage.version(); v != f.version {
			return false, f.sink.Stale(pageKey(v, depth, &f.path))
		}
	}
	return false, nil
}

// leaf compares two leaves, each of which may be nothing.
func (f *flusher) leaf(at, old *link) error {
	rec, oldRec := at.record(), old.record()
	if rec != nil {
		if oldRec != nil && at.leaf().path == old.leaf().path && rec.is(&oldRec.cell) {
			return nil
		}
		value := func() []byte { return encodeRecord(rec.entry.Load()) }
		if err := f.put(&rec.cell, recordKey(f.version, &at.leaf().path), value); err != nil {
			return err
		}
	}
	if oldRec != nil {
		v, _ := oldRec.version()
		return f.sink.Stale(recordKey(v, &old.leaf().path))
	}
	return nil
}

// put gives the sink what is not in the store. What is, and is not in the map
// before, belongs to another line of descent.
func (f *flusher) put(c *cell, key []byte, value func() []byte) error {
	if _, flushed := c.version(); flushed {
		return fmt.Errorf("smt: flush version %d: %w", f.version, ErrFork)
	}
	f.written = append(f.written, c)
	return f.sink.Put(key, value())
}

// Keys returns the store's keys of everything a flushed map is made of, so that a
// store can be checked, or swept. It reads every page. An error ends the iteration:
// [ErrNotFlushed], [ErrCorrupt] or the reader's.
func (m Map) Keys() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		k := keyWalker{line: m.line, yield: yield}
		k.walk(&m.root, 0)
	}
}

type keyWalker struct {
	line  *line
	path  Digest
	yield func([]byte, error) bool
}

// walk reports whether to go on.
func (k *keyWalker) walk(at *link, depth int) bool {
	if !k.own(at, depth) {
		return false
	}
	if !at.isInner() {
		return true
	}
	n, err := k.line.inner(at, depth, &k.path)
	if err != nil {
		k.yield(nil, err)
		return false
	}
	if !k.walk(&n.kids[0], depth+1) {
		return false
	}
	setBit(&k.path, depth)
	more := k.walk(&n.kids[1], depth+1)
	clearBit(&k.path, depth)
	return more
}

// own yields the key of what has a key of its own.
func (k *keyWalker) own(at *link, depth int) bool {
	if p := at.page(); p != nil {
		version, flushed := p.version()
		return k.key(pageKey(version, depth, &k.path), flushed)
	}
	if rec := at.record(); rec != nil {
		version, flushed := rec.version()
		return k.key(recordKey(version, &at.leaf().path), flushed)
	}
	return true
}

func (k *keyWalker) key(key []byte, flushed bool) bool {
	if !flushed {
		k.yield(nil, ErrNotFlushed)
		return false
	}
	return k.yield(key, nil)
}
