package counting

import (
	"sort"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/internal/capability"
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

// Rules are what decides, as far as it is known. They must not be changed while they are
// asked.
type Rules struct {
	Capabilities *capability.Set
	Faults       *fault.Set
}

// Span returns which bundles of an origin count. It returns none, and the reason, where its
// capability is not known, does not stand, or is another's: capability.ErrUnknown, for one
// that others may have, or ErrDenied.
func (r *Rules) Span(c Chain) (Span, error) {
	if c.Len() == 0 {
		return Span{}, nil
	}
	first := c.Header(0)
	leaf, revoked, err := r.Capabilities.Standing(first.Capability, first.Writer)
	if err != nil {
		return Span{}, err
	}
	s := Span{From: before(c, crdt.Milli(leaf.NotBefore)), To: before(c, crdt.Milli(leaf.Expires))}
	if cut, ok := r.Faults.From(first.Writer, first.Capability); ok {
		s.To = min(s.To, before(c, cut))
	}
	if revoked != nil {
		s.To = min(s.To, seen(c, first.Origin, revoked.Heads))
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
	for _, h := range heads {
		switch {
		case h.Writer != o.Writer || h.Incarnation != o.Incarnation:
		case h.Sequence >= c.Len():
			return c.Len()
		case c.Header(h.Sequence).ID() == bundle.ID(h.Bundle):
			return h.Sequence + 1
		default:
			return 0
		}
	}
	return 0
}
