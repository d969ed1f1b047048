package pbft

import "github.com/decube/decube/ledger/quorum"

// Said returns what another replica has said in this epoch of what is not decided yet, as
// far as this one has it: its votes above the last committed block, its wish for a view,
// and the NEW-VIEW that has begun the present one if its wish, or its proposals, are in
// there. All of it bears its signature. A replica that starts from an old disk learns from
// that what it has forgotten.
func (r *Replica) Said(who quorum.Replica) []Message {
	var out []Message
	for seq := r.base.header.Seq + 1; seq <= r.horizon(); seq++ {
		if s := r.slots[seq]; s != nil {
			out = appendVotes(out, s.prepares.of(who), s.commits.of(who))
		}
		if l := r.locks[seq]; l != nil {
			out = appendVotes(out, voteIn(&l.Cert, who))
		}
	}
	if r.start.Committee.Has(who) && who != r.start.Self && r.changes[who] != nil {
		out = append(out, r.changes[who])
	}
	if r.newView != nil && speaks(r.newView, who, r.start.leader(r.newView.View)) {
		out = append(out, r.newView)
	}
	return out
}

// SaidIn is [Replica.Said] for a replica that has not started yet: by the records of its
// log.
func SaidIn(records []Record, epoch uint64, c quorum.Committee, who quorum.Replica) []Message {
	var out []Message
	var last *NewView
	for _, rec := range records {
		switch rec := rec.(type) {
		case PreparedRecord:
			out = appendVotes(out, voteIn(&rec.Lock.Cert, who))
		case EnteredRecord:
			if last == nil || rec.NewView.View > last.View {
				last = rec.NewView
			}
		}
	}
	if last != nil && speaks(last, who, Leader(c, epoch, last.View)) {
		out = append(out, last)
	}
	return out
}

// Recalls reports whether records have what a replica has said, which is its own vote, wish
// for a view or NEW-VIEW, above the last block that is committed there: each was recorded
// before it left. It is true for all that does not bind anybody.
func Recalls(records []Record, committed uint64, self quorum.Replica, said Message) bool {
	switch m := said.(type) {
	case *Vote:
		return m.Replica != self || m.Seq <= committed || m.Phase == Checkpoint || recallsVote(records, m)
	case *ViewChange:
		return m.Replica != self || recallsView(records, m.View)
	case *NewView:
		for _, vc := range m.Changes {
			if vc.Replica == self {
				return recallsView(records, m.View)
			}
		}
	}
	return true
}

func recallsVote(records []Record, v *Vote) bool {
	votes := func(view uint64, h *Header) bool {
		return v.Phase == Prepare && view == v.View && h.Seq == v.Seq && h.Digest() == v.Digest
	}
	for _, rec := range records {
		switch rec := rec.(type) {
		case AcceptedRecord:
			if votes(rec.View, &rec.Header) {
				return true
			}
		case EnteredRecord: // a leader votes for what it carries over by proposing it
			for _, p := range rec.NewView.Proposals {
				if votes(p.View, &p.Header) {
					return true
				}
			}
		case PreparedRecord:
			// The lock's certificate may have this replica's PREPARE in it, too. One of a later
			// view binds in its place.
			if c := &rec.Lock.Cert; c.Seq == v.Seq && (c.View > v.View || (c.View == v.View && c.Digest == v.Digest)) {
				return true
			}
		}
	}
	// A PREPARE binds nobody who has gone on to a later view: what has carried it over need
	// not be in the log any more. A lock binds for ever.
	return v.Phase == Prepare && recallsView(records, v.View+1)
}

func recallsView(records []Record, view uint64) bool {
	for _, rec := range records {
		switch rec := rec.(type) {
		case ChangeRecord:
			if rec.Change.View >= view {
				return true
			}
		case EnteredRecord:
			if rec.NewView.View >= view {
				return true
			}
		}
	}
	return false
}

// speaks reports whether a NEW-VIEW has a replica's signature: it begins the view, or its
// wish for the view is in there.
func speaks(n *NewView, who, leader quorum.Replica) bool {
	if who == leader {
		return true
	}
	for _, vc := range n.Changes {
		if vc.Replica == who {
			return true
		}
	}
	return false
}

// voteIn returns a replica's vote in a certificate, nil if it is not there.
func voteIn(c *Certificate, who quorum.Replica) *Vote {
	for _, s := range c.Sigs {
		if s.Replica == who {
			return &Vote{Subject: c.Subject, Replica: who, Sig: s.Sig}
		}
	}
	return nil
}

func appendVotes(out []Message, votes ...*Vote) []Message {
	for _, v := range votes {
		if v != nil {
			out = append(out, v)
		}
	}
	return out
}
