package fold

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/capability"
)

// ErrUnlinked is returned for a bundle that does not follow what is held of its origin.
var ErrUnlinked = errors.New("the bundle does not follow what is held of its origin")

// Covers reports whether a capability lets its holder write a document. It says the same
// whenever it is asked: a capability is named by what it says.
type Covers func(c capability.ID, path string) bool

// State is the documents of those of a set of bundles that count, in memory. The zero value
// is not valid; use [New]. It is not safe for concurrent use.
type State struct {
	covers    Covers
	documents map[string]*Document
	order     []string        // the paths of documents, nil when they are to be put in order anew
	stale     map[string]bool // documents that are folded anew when they are asked for
	chains    map[bundle.Origin]*chain
	naming    map[string][]*bundle.Bundle // those that write a document
	referring map[place][]*bundle.Bundle  // those with a reference to a place
}

// chain is what is held of an origin, and which sequences of it count.
type chain struct {
	bundles  []*bundle.Bundle
	from, to int64
}

// counted returns the sequences that are held and count: from one on, and below another.
func (c *chain) counted() (from, to int64) {
	to = min(c.to, int64(len(c.bundles)))
	return min(c.from, to), to
}

// place is where a bundle is in its origin.
type place struct {
	bundle.Origin

	sequence int64
}

// New returns a state without bundles. With covers nil every operation is covered.
func New(covers Covers) *State {
	return &State{
		covers: covers, documents: map[string]*Document{}, stale: map[string]bool{}, chains: map[bundle.Origin]*chain{},
		naming: map[string][]*bundle.Bundle{}, referring: map[place][]*bundle.Bundle{},
	}
}

// Add takes in a bundle, and reports whether it is news. It returns ErrUnlinked unless it is
// the first of its origin or follows the last one that is held: so whatever a reference
// covers is there when the reference has its effect. Whether it counts, Count has said, or
// says later. The bundle is kept and must not be changed.
func (s *State) Add(b *bundle.Bundle) (bool, error) {
	c := s.chain(b.Origin)
	next := int64(len(c.bundles))
	switch {
	case b.Sequence < next && c.bundles[b.Sequence].ID() == b.ID():
		return false, nil
	case b.Sequence < next:
		return false, fmt.Errorf("%w: another one is held in its place, %v %d", ErrUnlinked, b.Origin, b.Sequence)
	case b.Sequence > next || next > 0 && c.bundles[next-1].ID() != b.Previous:
		return false, fmt.Errorf("%w: %v %d", ErrUnlinked, b.Origin, b.Sequence)
	}
	c.bundles = append(c.bundles, b)
	for _, r := range b.Body.References {
		to := place{r.Origin, r.Sequence}
		s.referring[to] = append(s.referring[to], b)
	}
	for path := range s.paths(b) {
		s.naming[path] = append(s.naming[path], b)
	}
	if s.counts(place{b.Origin, b.Sequence}) {
		s.enter(b)
	}
	return true, nil
}

// Count says which bundles of an origin count, those that come later included: from a
// sequence on, and below another. Of an origin of which it was not called none do. What does
// not count any more is as if it had never been there, and what it superseded comes back.
func (s *State) Count(o bundle.Origin, from, to int64) {
	c := s.chain(o)
	oldFrom, oldTo := c.counted()
	c.from, c.to = from, to
	newFrom, newTo := c.counted()
	if oldTo <= newTo && (oldFrom == newFrom || oldFrom == oldTo) {
		// All that is new comes after what counts already, as what counts of a chain does in
		// any case: it has its effect as if it came now.
		first := oldTo
		if oldFrom == oldTo {
			first = newFrom
		}
		for seq := first; seq < newTo; seq++ {
			c.to = seq + 1
			s.enter(c.bundles[seq])
		}
		c.to = to
		return
	}
	// A fault cuts off many origins that write one document, which is folded once for all.
	for seq := min(oldFrom, newFrom); seq < max(oldTo, newTo); seq++ {
		before, now := oldFrom <= seq && seq < oldTo, newFrom <= seq && seq < newTo
		if before == now {
			continue
		}
		for _, b := range append([]*bundle.Bundle{c.bundles[seq]}, s.referring[place{o, seq}]...) {
			for path := range s.paths(b) {
				s.stale[path] = true
			}
		}
	}
}

// chain returns what is held of an origin.
func (s *State) chain(o bundle.Origin) *chain {
	c := s.chains[o]
	if c == nil {
		c = new(chain)
		s.chains[o] = c
	}
	return c
}

// counts reports whether a bundle is held at a place and counts.
func (s *State) counts(at place) bool {
	c := s.chains[at.Origin]
	if c == nil {
		return false
	}
	from, to := c.counted()
	return from <= at.sequence && at.sequence < to
}

// effective reports whether a reference is to a bundle that counts.
func (s *State) effective(r bundle.Reference) bool {
	return s.counts(place{r.Origin, r.Sequence}) && s.chains[r.Origin].bundles[r.Sequence].ID() == r.ID
}

// covered reports whether an operation of a bundle has an effect if the bundle counts.
func (s *State) covered(b *bundle.Bundle, op *bundle.Operation) bool {
	return op.Known() && (s.covers == nil || s.covers(b.Capability, op.Document))
}

// paths returns the documents that a bundle writes.
func (s *State) paths(b *bundle.Bundle) map[string]bool {
	paths := map[string]bool{}
	for i := range b.Body.Operations {
		if op := &b.Body.Operations[i]; s.covered(b, op) {
			paths[op.Document] = true
		}
	}
	return paths
}

// enter has a bundle take effect that counts from now on, as the last one of its origin.
func (s *State) enter(b *bundle.Bundle) {
	s.supersede(b, b.Body.References)
	for i := range b.Body.Operations {
		op := &b.Body.Operations[i]
		if s.stale[op.Document] || !s.covered(b, op) {
			continue
		}
		d := s.documents[op.Document]
		if d == nil {
			d = new(Document)
			s.documents[op.Document] = d
			s.order = nil
		}
		d.apply(b, i)
		s.drop(op.Document)
	}
	for _, waiting := range s.referring[place{b.Origin, b.Sequence}] {
		i, _ := slices.BinarySearchFunc(waiting.Body.References, b.Origin, func(r bundle.Reference, o bundle.Origin) int { return r.Compare(o) })
		if s.counts(place{waiting.Origin, waiting.Sequence}) {
			s.supersede(waiting, waiting.Body.References[i:i+1])
		}
	}
}

// supersede has what a bundle does take effect within those of references that are effective.
func (s *State) supersede(b *bundle.Bundle, refs []bundle.Reference) {
	refs = s.allEffective(refs)
	if len(refs) == 0 {
		return
	}
	for path, a := range s.aims(b) {
		if d := s.documents[path]; d != nil && !s.stale[path] {
			d.seen(a, refs)
			s.drop(path)
		}
	}
}

func (s *State) allEffective(refs []bundle.Reference) []bundle.Reference {
	var out []bundle.Reference
	for _, r := range refs {
		if s.effective(r) {
			out = append(out, r)
		}
	}
	return out
}

// fresh folds a document anew if that is due.
func (s *State) fresh(path string) {
	if s.stale[path] {
		delete(s.stale, path)
		s.fold(path)
	}
}

// allFresh folds all documents anew of which that is due.
func (s *State) allFresh() {
	for path := range s.stale {
		s.fresh(path)
	}
}

// fold makes a document anew of all that counts and writes it.
func (s *State) fold(path string) {
	d := new(Document)
	var all []*bundle.Bundle
	for _, b := range s.naming[path] {
		if s.counts(place{b.Origin, b.Sequence}) {
			all = append(all, b)
		}
	}
	for _, b := range all {
		for i := range b.Body.Operations {
			if op := &b.Body.Operations[i]; op.Document == path && s.covered(b, op) {
				d.apply(b, i)
			}
		}
	}
	for _, b := range all {
		if refs := s.allEffective(b.Body.References); len(refs) > 0 {
			if a := s.aims(b)[path]; a != nil {
				d.seen(a, refs)
			}
		}
	}
	if s.documents[path] == nil {
		s.order = nil
	}
	s.documents[path] = d
	s.drop(path)
}

// drop forgets a document that does not exist.
func (s *State) drop(path string) {
	if d := s.documents[path]; d != nil && !d.Exists() {
		delete(s.documents, path)
		s.order = nil
	}
}

// Bundle returns the bundle of an origin that is held at a sequence, or nil. It must not be
// changed.
func (s *State) Bundle(o bundle.Origin, sequence int64) *bundle.Bundle {
	c := s.chains[o]
	if c == nil || sequence < 0 || sequence >= int64(len(c.bundles)) {
		return nil
	}
	return c.bundles[sequence]
}

// Len returns how many documents exist.
func (s *State) Len() int {
	s.allFresh()
	return len(s.documents)
}

// Document returns a document, or nil where there is none. It must not be changed, and is
// valid until the next Add or Count.
func (s *State) Document(path string) *Document {
	s.fresh(path)
	return s.documents[path]
}

// Paths yields the paths of the documents that exist, in order.
func (s *State) Paths() iter.Seq[string] { return s.From("") }

// From yields the paths of the documents that exist, in order, from one on. They are put in order
// when they are asked for after documents have come or gone.
func (s *State) From(path string) iter.Seq[string] {
	s.allFresh()
	if s.order == nil {
		s.order = slices.Sorted(maps.Keys(s.documents))
	}
	at, _ := slices.BinarySearch(s.order, path)
	return slices.Values(s.order[at:])
}

// References returns what a bundle has to refer to that supersedes all of some documents that
// is live here: the last bundles that count of the origins that have written it, in order.
func (s *State) References(paths ...string) []bundle.Reference {
	origins := map[bundle.Origin]bool{}
	for _, path := range paths {
		if d := s.Document(path); d != nil {
			maps.Copy(origins, d.origins())
		}
	}
	var refs []bundle.Reference
	for _, o := range slices.SortedFunc(maps.Keys(origins), bundle.Origin.Compare) {
		c := s.chains[o]
		_, to := c.counted()
		refs = append(refs, bundle.Reference{Origin: o, Sequence: to - 1, ID: c.bundles[to-1].ID()})
	}
	return refs
}
