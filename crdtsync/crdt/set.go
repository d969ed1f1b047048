package crdt

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// ErrDotUsed is returned for an add under a dot that has been seen before: a
// writer that uses a dot twice would make replicas differ.
var ErrDotUsed = errors.New("dot has been used before")

// Set is an observed-remove set of which adds win; see the package comment. The
// zero value is empty. Merging and changing take time linear in the set, which is
// meant for the values of one field, not for a collection.
type Set[E cmp.Ordered] struct {
	members []member[E] // ascending by element, none without dots
	seen    Context
}

type member[E cmp.Ordered] struct {
	element E
	dots    []Dot // ascending; shared between sets, never changed in place
}

func byElement[E cmp.Ordered](m member[E], e E) int { return cmp.Compare(m.element, e) }

// Has reports whether e is in the set.
func (s *Set[E]) Has(e E) bool { return len(s.dots(e)) > 0 }

// Len returns the number of elements.
func (s *Set[E]) Len() int { return len(s.members) }

// All yields the elements in ascending order.
func (s *Set[E]) All() iter.Seq[E] {
	return func(yield func(E) bool) {
		for _, m := range s.members {
			if !yield(m.element) {
				return
			}
		}
	}
}

// Context returns what the set has seen. It must not be changed, and is valid
// until the set is.
func (s *Set[E]) Context() *Context { return &s.seen }

// dots returns the adds that keep e in the set.
func (s *Set[E]) dots(e E) []Dot {
	if i, ok := slices.BinarySearchFunc(s.members, e, byElement); ok {
		return s.members[i].dots
	}
	return nil
}

// Add adds e under the dot d and returns the delta. The adds of e that were seen
// so far are superseded, so that an element that is added again and again keeps
// one dot. It returns ErrDotUsed, and changes nothing, when d has been seen.
func (s *Set[E]) Add(d Dot, e E) (*Set[E], error) {
	if s.seen.Has(d) {
		return nil, fmt.Errorf("%w: %s", ErrDotUsed, d)
	}
	delta := s.Remove(e)
	delta.members = []member[E]{{element: e, dots: []Dot{d}}}
	delta.seen.Add(d)
	s.Merge(delta)
	return delta, nil
}

// Remove removes e as far as it has been seen and returns the delta, which is
// empty when e is not in the set. An add that is concurrent with the removal stays.
func (s *Set[E]) Remove(e E) *Set[E] {
	delta := new(Set[E])
	for _, d := range s.dots(e) {
		delta.seen.Add(d)
	}
	s.Merge(delta)
	return delta
}

// Close marks a whole bundle as seen, once all that it does to this set has been
// merged; see [Context.AddBundle].
func (s *Set[E]) Close(o Origin, sequence uint64) error { return s.seen.AddBundle(o, sequence) }

// Merge takes in all that t has seen. t is not changed. Merging is commutative,
// associative and idempotent.
func (s *Set[E]) Merge(t *Set[E]) {
	a, b := s.members, t.members
	out := make([]member[E], 0, max(len(a), len(b)))
	for len(a) > 0 || len(b) > 0 {
		var m member[E]
		switch order := compareHeads(a, b); {
		case order < 0:
			m = member[E]{a[0].element, unseen(a[0].dots, &t.seen)}
			a = a[1:]
		case order > 0:
			m = member[E]{b[0].element, unseen(b[0].dots, &s.seen)}
			b = b[1:]
		default:
			m = member[E]{a[0].element, surviving(a[0].dots, b[0].dots, &s.seen, &t.seen)}
			a, b = a[1:], b[1:]
		}
		if len(m.dots) > 0 {
			out = append(out, m)
		}
	}
	s.members = out
	s.seen.Merge(&t.seen)
}

// compareHeads compares the first elements of two lists, of which an empty one
// comes last. At least one is not empty.
func compareHeads[E cmp.Ordered](a, b []member[E]) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return cmp.Compare(a[0].element, b[0].element)
}

// unseen returns the dots that c has not seen.
func unseen(dots []Dot, c *Context) []Dot {
	seen := func(d Dot) bool { return c.Has(d) }
	if !slices.ContainsFunc(dots, seen) {
		return dots
	}
	return slices.DeleteFunc(slices.Clone(dots), seen)
}

// surviving returns the dots in both a and b, and those of each side that the
// other has not seen.
func surviving(a, b []Dot, seenA, seenB *Context) []Dot {
	var out []Dot
	for _, d := range a {
		if _, both := slices.BinarySearchFunc(b, d, Dot.Compare); both || !seenB.Has(d) {
			out = append(out, d)
		}
	}
	out = append(out, unseen(b, seenA)...)
	slices.SortFunc(out, Dot.Compare)
	return out
}

// Equal reports whether both have the same elements under the same dots and have
// seen the same.
func (s *Set[E]) Equal(t *Set[E]) bool {
	return s.seen.Equal(&t.seen) && slices.EqualFunc(s.members, t.members, func(a, b member[E]) bool {
		return cmp.Compare(a.element, b.element) == 0 && slices.Equal(a.dots, b.dots)
	})
}

// Clone returns a set of its own that is equal.
func (s *Set[E]) Clone() *Set[E] {
	return &Set[E]{members: slices.Clone(s.members), seen: s.seen.Clone()}
}
