package fault

import (
	"bytes"
	"cmp"
	"iter"
	"slices"

	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// Set holds the faults that have the earliest cut of a writer and a capability. Two peers
// that were given the same faults have the same cuts, though perhaps other proofs of them.
// The zero value holds none. It is not safe for concurrent use while it is changed.
type Set struct{ faults map[subject]*Fault }

// subject is whose what does not count any more.
type subject struct {
	writer     sig.PublicKey
	capability capability.ID
}

func (s subject) compare(o subject) int {
	return cmp.Or(bytes.Compare(s.writer[:], o.writer[:]), bytes.Compare(s.capability[:], o.capability[:]))
}

// Add takes in a fault that was verified, and returns the cuts that are earlier for it than
// before, none if it is no news.
func (s *Set) Add(f *Fault) (news []Cut) {
	for _, c := range f.Cuts() {
		of := subject{c.Writer, c.Capability}
		if from, ok := s.From(c.Writer, c.Capability); ok && from.Compare(c.From) <= 0 {
			continue
		}
		if s.faults == nil {
			s.faults = map[subject]*Fault{}
		}
		s.faults[of] = f
		news = append(news, c)
	}
	return news
}

// From returns from when on nothing of a writer under a capability counts, and whether there
// is such a time.
func (s *Set) From(writer sig.PublicKey, c capability.ID) (crdt.Time, bool) {
	f := s.faults[subject{writer, c}]
	if f == nil {
		return crdt.Time{}, false
	}
	return f.Cuts()[0].From, true // all cuts of a fault are of one time
}

// Of returns the fault of a writer and a capability, or nil.
func (s *Set) Of(writer sig.PublicKey, c capability.ID) *Fault { return s.faults[subject{writer, c}] }

// Under yields what holds under a capability, by writer, as Cuts does.
func (s *Set) Under(c capability.ID) iter.Seq2[Cut, *Fault] {
	return s.among(func(of subject) bool { return of.capability == c })
}

// Len returns of how many writers and capabilities there is a fault.
func (s *Set) Len() int { return len(s.faults) }

// Cuts yields what holds, by writer and capability, with the fault that proves it.
func (s *Set) Cuts() iter.Seq2[Cut, *Fault] { return s.among(func(subject) bool { return true }) }

func (s *Set) among(wanted func(subject) bool) iter.Seq2[Cut, *Fault] {
	return func(yield func(Cut, *Fault) bool) {
		var some []subject
		for of := range s.faults {
			if wanted(of) {
				some = append(some, of)
			}
		}
		slices.SortFunc(some, subject.compare)
		for _, of := range some {
			f := s.faults[of]
			if !yield(Cut{of.writer, of.capability, f.Cuts()[0].From}, f) {
				return
			}
		}
	}
}
