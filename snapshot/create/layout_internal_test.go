package create

import (
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

// TestHolesSideBySide lays out a file that had one hole behind another, since it changed
// between two looks at it: as one hole, behind a chunk with a name and behind one without.
func TestHolesSideBySide(t *testing.T) {
	l := &layout{c: &creator{}}
	id := block.New(block.Raw, []byte("x")).ID()
	chunk := &extent{Extent: manifest.Extent{Length: 1}, size: 1}
	l.queue = append(l.queue, chunk)
	for range 2 { // they wait for the chunk
		if err := l.hole(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	chunk.Chunk, chunk.named = manifest.LinkTo(id), true
	for range 2 { // they are behind what is on the page
		if err := l.hole(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		if err := l.advance(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := manifest.Entry{Name: []byte("f"), Type: manifest.File, Size: 221, Extents: l.out.extents}
	if _, err := manifest.Encode(&manifest.Node{Entries: []manifest.Entry{e}}); err != nil || len(e.Extents) != 2 || l.bytes != 221 {
		t.Errorf("%d extents of %d bytes, %v", len(e.Extents), l.bytes, err)
	}
}
