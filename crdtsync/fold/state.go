package fold

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/decube/decube/crdtsync/bundle"
)

// ErrUnlinked is returned for a bundle that does not follow what is held of its origin.
var ErrUnlinked = errors.New("the bundle does not follow what is held of its origin")

// State is the documents of a set of bundles, in memory. The zero value is not valid; use
// [New]. It is not safe for concurrent use while it is changed.
type State struct {
	documents map[string]*Document
	heads     map[bundle.Origin]int64 // the highest sequence that is held
	held      map[place]*bundle.Bundle
	awaiting  map[place][]*bundle.Bundle // by what their references name and is not held
}

// place is where a bundle is in its origin.
type place struct {
	bundle.Origin

	sequence int64
}

// New returns a state without bundles.
func New() *State {
	return &State{
		documents: map[string]*Document{}, heads: map[bundle.Origin]int64{},
		held: map[place]*bundle.Bundle{}, awaiting: map[place][]*bundle.Bundle{},
	}
}

// Add takes in a bundle that counts, and reports whether it is news. It returns ErrUnlinked
// unless it is the first of its origin or follows the last one that is held: so whatever a
// reference covers is there when the reference has its effect. The bundle is kept and must
// not be changed.
func (s *State) Add(b *bundle.Bundle) (bool, error) {
	at := place{b.Origin, b.Sequence}
	if held := s.held[at]; held != nil {
		if held.ID() != b.ID() {
			return false, fmt.Errorf("%w: another one is held in its place, %v %d", ErrUnlinked, b.Origin, b.Sequence)
		}
		return false, nil
	}
	if before := s.held[place{b.Origin, b.Sequence - 1}]; b.Sequence > 0 && (before == nil || before.ID() != b.Previous) {
		return false, fmt.Errorf("%w: %v %d", ErrUnlinked, b.Origin, b.Sequence)
	}
	s.held[at], s.heads[b.Origin] = b, b.Sequence
	for _, r := range b.Body.References {
		to := place{r.Origin, r.Sequence}
		if s.held[to] == nil {
			s.awaiting[to] = append(s.awaiting[to], b)
		} else {
			s.supersede(b, r)
		}
	}
	for i := range b.Body.Operations {
		s.apply(b, i)
	}
	for _, waiting := range s.awaiting[at] {
		i, _ := slices.BinarySearchFunc(waiting.Body.References, b.Origin, func(r bundle.Reference, o bundle.Origin) int { return r.Compare(o) })
		s.supersede(waiting, waiting.Body.References[i])
	}
	delete(s.awaiting, at)
	return true, nil
}

// apply has an operation of a bundle take effect: on what the bundle itself has done before,
// which its writer has seen, and for those to come.
func (s *State) apply(b *bundle.Bundle, index int) {
	op := &b.Body.Operations[index]
	if !op.Known() {
		return
	}
	d := s.documents[op.Document]
	if d == nil {
		d = new(Document)
		s.documents[op.Document] = d
	}
	d.supersede(op, func(dot Dot) bool { return dot.Origin == b.Origin && dot.Sequence == b.Sequence })
	d.add(op, Dot{b.Origin, b.Sequence, index}, b.Time)
	s.drop(op.Document)
}

// supersede has what a bundle does take effect within one of its references, of which the
// bundle is held, if that is the one that it names.
func (s *State) supersede(b *bundle.Bundle, r bundle.Reference) {
	if s.held[place{r.Origin, r.Sequence}].ID() != r.ID {
		return
	}
	for i := range b.Body.Operations {
		op := &b.Body.Operations[i]
		if d := s.documents[op.Document]; d != nil && op.Known() {
			d.supersede(op, func(dot Dot) bool { return dot.Origin == r.Origin && dot.Sequence <= r.Sequence })
			s.drop(op.Document)
		}
	}
}

// drop forgets a document that does not exist.
func (s *State) drop(path string) {
	if d := s.documents[path]; d != nil && !d.Exists() {
		delete(s.documents, path)
	}
}

// Document returns a document, or nil where there is none. It must not be changed, and is
// valid until the next Add.
func (s *State) Document(path string) *Document { return s.documents[path] }

// Paths yields the paths of the documents that exist, in order.
func (s *State) Paths() iter.Seq[string] {
	return slices.Values(slices.Sorted(maps.Keys(s.documents)))
}

// References returns what a bundle has to refer to that supersedes all of some documents that
// is live here: the heads of the origins that have written it, in order.
func (s *State) References(paths ...string) []bundle.Reference {
	origins := map[bundle.Origin]bool{}
	for _, path := range paths {
		if d := s.documents[path]; d != nil {
			for l := range d.Live() {
				origins[l.Dot.Origin] = true
			}
		}
	}
	var refs []bundle.Reference
	for _, o := range slices.SortedFunc(maps.Keys(origins), bundle.Origin.Compare) {
		head := s.heads[o]
		refs = append(refs, bundle.Reference{Origin: o, Sequence: head, ID: s.held[place{o, head}].ID()})
	}
	return refs
}
