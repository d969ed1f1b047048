package adversary

import (
	"cmp"
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// inventor asks for views from a base that nobody has committed, so that nothing of what
// others hold would have to be proposed again, and proposes something else in its place.
//
// That does harm only where a block is committed and those who begin the view do not know
// it. The inventor sees to that: it gives its COMMIT for a block to one replica and keeps
// decisions to itself, it begins its views with those who have committed least, and puts
// its base right beneath the first block that they lack. What it has said once of a view
// it says to everybody, and says nothing against it.
type inventor struct {
	epoch, view uint64   // the last view that it has begun, if begun is not empty
	begun       []Packet // what it began it with
	lied        bool     // whether that was a lie
}

func (v *inventor) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	var out []Packet
	for _, e := range envelopes {
		switch m := e.Message.(type) {
		case *pbft.ViewChange:
			if m.Replica == r.Self && r.Rand.IntN(2) == 0 {
				e.Message = r.invent(m, m.Base.Seq+r.Rand.Uint64N(3))
			}
		case *pbft.NewView:
			if pbft.Leader(r.Committee, r.Epoch, m.View) == r.Self {
				out = append(out, v.begin(r, e, m)...)
				continue
			}
		case *pbft.Decision:
			continue
		case *pbft.Proposal:
			if v.against(m.Subject()) {
				continue
			}
		case *pbft.Vote:
			if v.against(m.Subject) {
				continue
			}
			if m.Phase == pbft.Commit {
				e.All, e.To = false, r.others()[m.Seq%uint64(r.Committee.Size()-1)]
			}
		}
		out = append(out, Packet{Envelope: e})
	}
	return out
}

// against reports whether a vote would give away that its view began with a lie.
func (v *inventor) against(s pbft.Subject) bool {
	return v.lied && s.Phase != pbft.Checkpoint && s.Epoch == v.epoch && s.View == v.view
}

// begin begins a view that the inventor leads, in the same way whoever is told.
func (v *inventor) begin(r *Replica, e pbft.Envelope, m *pbft.NewView) []Packet {
	if v.begun == nil || v.epoch != r.Epoch || v.view != m.View {
		v.epoch, v.view = r.Epoch, m.View
		v.begun, v.lied = nil, false
		if r.Rand.IntN(4) > 0 {
			v.begun = r.beginsInvented(m)
			v.lied = v.begun != nil
		}
		if !v.lied {
			v.begun = []Packet{toAll(m)}
		}
	}
	out := slices.Clone(v.begun)
	for i := range out {
		out[i].All, out[i].To = e.All, e.To
	}
	return out
}

// beginsInvented has a view begin with a base that was made up, and goes on with another
// block than the first that this leaves out. It returns nil for a new view in which the
// replica has no part.
func (r *Replica) beginsInvented(m *pbft.NewView) []Packet {
	own, others := r.wishes(m)
	chosen, below := r.furthestBehind(others)
	if own == nil || chosen == nil {
		return nil
	}
	seq := below.Seq
	if r.Rand.IntN(4) == 0 {
		seq += r.Rand.Uint64N(3)
	}
	n := *m
	n.Changes = slices.Concat(chosen, []*pbft.ViewChange{r.invent(own, seq)})
	sortChanges(n.Changes)
	out := []Packet{toAll(r.follow(&n))}
	h, ok := r.twin(below.Seq+1, below.Digest)
	if !ok {
		return out
	}
	p := &pbft.Proposal{View: n.View, Header: h}
	s := p.Subject()
	s.Phase = pbft.Commit
	return append(out, toAll(r.resign(p)), toAll(r.vote(s)))
}

// wishes returns the replica's own view change among those of a new view, and those of
// others for this view, with what was heard besides.
func (r *Replica) wishes(m *pbft.NewView) (own *pbft.ViewChange, others []*pbft.ViewChange) {
	for _, vc := range m.Changes {
		if vc.Replica == r.Self {
			own = vc
		} else {
			others = append(others, vc)
		}
	}
	for _, x := range r.Heard {
		vc, ok := x.(*pbft.ViewChange)
		if !ok || vc.Epoch != m.Epoch || vc.View != m.View || vc.Replica == r.Self {
			continue
		}
		if !slices.ContainsFunc(others, func(y *pbft.ViewChange) bool { return y.Replica == vc.Replica }) {
			others = append(others, vc)
		}
	}
	return own, others
}

// furthestBehind chooses view changes of a quorum less one, whose bases are as low as can
// be. A base that the replica makes up beside the highest of them is to be the one that
// counts: of equal bases that is the first, so that who comes before it has to be behind.
// Where that cannot be, those with the lowest bases are chosen. It returns the base to put
// one's own beside as well, and nil if there are too few view changes.
func (r *Replica) furthestBehind(others []*pbft.ViewChange) (chosen []*pbft.ViewChange, below *pbft.Certificate) {
	most := r.Committee.Quorum() - 1
	if len(others) < most {
		return nil, nil
	}
	slices.SortStableFunc(others, func(a, b *pbft.ViewChange) int { return cmp.Compare(a.Base.Seq, b.Base.Seq) })
	for _, at := range others {
		below = &at.Base
		chosen = slices.DeleteFunc(slices.Clone(others), func(vc *pbft.ViewChange) bool {
			return vc.Base.Seq > below.Seq || (vc.Base.Seq == below.Seq && vc.Replica < r.Self)
		})
		if len(chosen) >= most {
			return chosen[:most], below
		}
	}
	chosen = others[:most]
	return chosen, &chosen[most-1].Base
}

// invent returns a view change with a base that was made up: with no proof, with that of
// the base that it had, or with one of others' signatures under other things.
func (r *Replica) invent(m *pbft.ViewChange, seq uint64) *pbft.ViewChange {
	h := r.invented(seq, r.garbage())
	vc := *m
	vc.Base, vc.Locks = r.forge(pbft.Commit, vc.View-1, &h), nil
	switch r.Rand.IntN(3) {
	case 0:
		vc.Base.Sigs = nil
	case 1:
		vc.Base.Sigs = m.Base.Sigs
	default:
	}
	return r.resignChange(&vc)
}
