package counting

import (
	"slices"
	"sort"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// Chain is the headers of one origin that are held: all from sequence 0 on, without a gap,
// each linked to the one before.
type Chain interface {
	// Len returns how many there are.
	Len() int64
	// Header returns the one of a sequence below Len. It must not be changed.
	Header(sequence int64) *bundle.Header
}

// Span is the sequences from From on and below To.
type Span struct{ From, To int64 }

// Has reports whether a sequence is in a span.
func (s Span) Has(sequence int64) bool { return s.From <= sequence && sequence < s.To }

// Rules are what decides, as far as it is known, at one time: once something of it has changed
// there are to be others. They are not safe for concurrent use.
type Rules struct {
	Capabilities *capability.Set
	Faults       *fault.Set

	standings map[holder]standing // what was found out of capabilities
}

// holder is who writes under a capability.
type holder struct {
	capability capability.ID
	writer     sig.PublicKey
}

// standing is how a capability stands, for many origins that are written under it.
type standing struct {
	leaf    *capability.Capability
	revoked *capability.Revoked
	err     error
}

func (r *Rules) standing(h *bundle.Header) standing {
	of := holder{h.Capability, h.Writer}
	st, known := r.standings[of]
	if !known {
		st.leaf, st.revoked, st.err = r.Capabilities.Standing(h.Capability, h.Writer)
		if r.standings == nil {
			r.standings = map[holder]standing{}
		}
		r.standings[of] = st
	}
	return st
}

// Span returns which bundles of an origin count. It returns none, and the reason, where its
// capability is not known, does not stand, or is another's: capability.ErrUnknown, for one
// that others may have, or ErrDenied.
func (r *Rules) Span(c Chain) (Span, error) {
	if c.Len() == 0 {
		return Span{}, nil
	}
	first := c.Header(0)
	st := r.standing(first)
	if st.err != nil {
		return Span{}, st.err
	}
	s := Span{From: before(c, crdt.Milli(st.leaf.NotBefore)), To: before(c, crdt.Milli(st.leaf.Expires))}
	if cut, ok := r.Faults.From(first.Writer, first.Capability); ok {
		s.To = min(s.To, before(c, cut))
	}
	if st.revoked != nil {
		s.To = min(s.To, seen(c, first.Origin, st.revoked.Heads))
	}
	s.From = min(s.From, s.To)
	return s, nil
}

// before returns how many bundles of a chain were made before a time.
func before(c Chain, at crdt.Time) int64 {
	return int64(sort.Search(int(c.Len()), func(i int) bool { return c.Header(int64(i)).Time.Compare(at) >= 0 }))
}

// seen returns how many bundles of a chain are at or below its head of a revocation: none
// where there is no head, or it is of another bundle than the one that is held there. As far
// as the chain does not reach yet, nobody can say that it is another one.
func seen(c Chain, o bundle.Origin, heads []capability.Head) int64 {
	i, found := slices.BinarySearchFunc(heads, o, func(h capability.Head, o bundle.Origin) int {
		return bundle.Origin{Writer: h.Writer, Incarnation: h.Incarnation}.Compare(o)
	})
	if !found {
		return 0
	}
	switch h := heads[i]; {
	case h.Sequence >= c.Len():
		return c.Len()
	case c.Header(h.Sequence).ID() == bundle.ID(h.Bundle):
		return h.Sequence + 1
	default:
		return 0
	}
}
