package smt

import (
	"errors"
	"fmt"
	"slices"
)

var (
	// ErrOrder is returned for a chunk that does not start where the last one ended.
	ErrOrder = errors.New("chunk is not the next one")
	// ErrIncomplete is returned when chunks are missing.
	ErrIncomplete = errors.New("chunks are missing")
)

// Builder puts the chunks of a map together, in order of path, each one verified
// before it is kept. After a Flush only the way to the next chunk is needed in
// memory: [Builder.Shed]. It is not safe for concurrent use.
type Builder struct {
	root    Digest
	version uint64
	m       Map
	next    Digest
	done    bool
}

// NewBuilder returns a builder of the map with that root, which it flushes to the
// store that reader reads, as the given version.
func NewBuilder(root Digest, version uint64, reader Reader) *Builder {
	return ResumeBuilder(root, version, reader, RootRef{}, Digest{})
}

// ResumeBuilder returns a builder that goes on from a flush: with the ref that it
// returned, and what [Builder.Next] was then. To give up instead, delete what
// [Map.Keys] of the ref's map lists.
func ResumeBuilder(root Digest, version uint64, reader Reader, ref RootRef, next Digest) *Builder {
	m := Open(reader, ref)
	return &Builder{root: root, version: version, m: m, next: next, done: m.Root() == root}
}

// Next returns the path at which the next chunk must start, and false when none is
// missing.
func (b *Builder) Next() (Digest, bool) { return b.next, !b.done }

// Add verifies the next chunk and adds its entries. It returns [ErrProof] for a chunk
// that is not of the map, [ErrOrder] for one that is not the next; the builder is
// then as it was. The chunk's memory is not kept.
func (b *Builder) Add(c Chunk) error {
	if err := VerifyChunk(b.root, c); err != nil {
		return err
	}
	if b.done || c.start != b.next {
		return fmt.Errorf("smt: chunk from %x, want %x: %w", c.start, b.next, ErrOrder)
	}
	changes := make([]Change, 0, c.entries)
	for e := range c.Entries() {
		// One small entry must not keep all of the chunk in memory.
		changes = append(changes, Change{Key: slices.Clone(e.Key), Value: slices.Clone(e.Value)})
	}
	m, err := b.m.Apply(changes)
	if err != nil {
		return err
	}
	next, more := c.Next()
	b.m, b.next, b.done = m, next, !more
	return nil
}

// Flush gives the sink what was built since the last flush, as [Map.Flush] does,
// except that records at the edge may be put again with another value and nothing is
// stale. The caller keeps the ref and Next in the same batch; ResumeBuilder goes on
// from there.
func (b *Builder) Flush(sink Sink) (RootRef, error) { return b.m.flush(b.version, sink) }

// Shed drops what was flushed and committed from memory until about limit bytes
// remain, as [Map.Shed] does.
func (b *Builder) Shed(limit int) int { return b.m.Shed(limit) }

// Map returns the map when it is complete. It returns [ErrIncomplete] while chunks
// are missing, and [ErrProof] when what the builder resumed from was not a part of
// the map.
func (b *Builder) Map() (Map, error) {
	if !b.done {
		return Map{}, fmt.Errorf("smt: map from path %x on: %w", b.next, ErrIncomplete)
	}
	if b.m.Root() != b.root {
		return Map{}, fmt.Errorf("smt: root built is %x, want %x: %w", b.m.Root(), b.root, ErrProof)
	}
	return b.m, nil
}
