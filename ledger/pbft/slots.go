package pbft

import "github.com/decube/decube/ledger/quorum"

// Proposed is a block that a slot of the present view names.
type Proposed struct {
	Header Header
	Digest Digest
	// Valid says that the driver has found it valid in this view, or has built it.
	Valid bool
}

// Slots returns the blocks that are in flight: those above the last committed one
// that a slot of the present view names, ascending by sequence number. What an
// earlier view proposed and this one has not carried over is in flight no more: what
// was reserved for it is free. While the replica is between views, only what is
// certain is in flight.
func (r *Replica) Slots() []Proposed {
	out := make([]Proposed, 0, len(r.slots))
	for seq := r.base.header.Seq + 1; seq <= r.horizon(); seq++ {
		if s := r.slots[seq]; s != nil && s.header != nil {
			out = append(out, Proposed{Header: *s.header, Digest: s.digest, Valid: s.checked})
		}
	}
	return out
}

// Useful reports whether a message that is not verified yet could change anything.
// Signatures are what a replica spends its time on: one that somebody sends a
// hundred times, or that says what a quorum has said already, need not be looked at.
// It is false only for messages that Receive would do nothing with, but for old
// VIEW-CHANGEs, which it would search for evidence.
func (r *Replica) Useful(m Message) bool {
	if r.halted != nil || EpochOf(m) != r.start.Epoch {
		return false
	}
	switch m := m.(type) {
	case *Vote:
		return r.usefulVote(m)
	case *Proposal:
		if s := r.slots[m.Header.Seq]; s != nil && s.header == nil && m.View == r.view {
			return true // its PREPARE may have come as a mere vote, without the header
		}
		v := Vote{Subject: m.Subject(), Replica: r.start.leader(m.View)}
		return r.usefulVote(&v)
	case *Decision:
		s := r.slots[m.Header.Seq]
		return m.Header.Seq > r.base.header.Seq && (s == nil || s.certain == nil)
	case *Certified:
		return m.Cert.Seq > r.stable.Seq
	case *ViewChange:
		if !r.start.Committee.Has(m.Replica) {
			return false
		}
		known := r.changes[m.Replica]
		return m.Replica != r.start.Self && (known == nil || known.View < m.View)
	case *NewView:
		return !r.ended() && (m.View > r.view || (m.View == r.view && r.changing))
	case *Status:
		return m.Replica != r.start.Self
	default:
		return false
	}
}

// usefulVote looks at a vote's place: whether it is still open, and what its author
// has said there already.
func (r *Replica) usefulVote(v *Vote) bool {
	if !r.start.Committee.Has(v.Replica) {
		return false
	}
	if v.Phase == Checkpoint {
		return v.Replica != r.start.Self && v.Seq > r.stable.Seq && r.newFrom(r.checkpointOf(v.Replica, v.Seq), v)
	}
	if v.Seq <= r.base.header.Seq || v.View < r.view {
		return false
	}
	if v.View > r.view || r.changing || v.Replica == r.start.Self {
		return true // for later; or this replica's own, of which it has a record
	}
	s := r.slots[v.Seq]
	if s == nil {
		return true
	}
	b := s.prepares
	if v.Phase == Commit {
		b = s.commits
	}
	return r.newFrom(b.of(v.Replica), v)
}

// newFrom reports whether a vote says more than its author's first one at its place:
// if it says something else, that is evidence, of which one piece is enough.
func (r *Replica) newFrom(first, v *Vote) bool {
	return first == nil || (first.Subject != v.Subject && !r.convicted.Has(v.Replica))
}

func (r *Replica) checkpointOf(who quorum.Replica, seq uint64) *Vote {
	for _, v := range r.ballots[who] {
		if v.Seq == seq {
			return v
		}
	}
	return nil
}
