package adversary

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// follow gives a NEW-VIEW the proposals that follow from its view changes, and signs it.
func (r *Replica) follow(n *pbft.NewView) *pbft.NewView {
	n.Proposals = nil
	for _, h := range pbft.CarriedOver(n.Changes) {
		p := &pbft.Proposal{View: n.View, Header: h}
		p.Sig = r.Sign(p.Subject().Statement(r.Cluster))
		n.Proposals = append(n.Proposals, p)
	}
	n.Sig = r.Sign(n.Statement(r.Cluster))
	return n
}

// own returns a copy of a NEW-VIEW with the replica's own view change put in another
// way, or nil when it has none of its own.
func (r *Replica) own(n *pbft.NewView, change func(vc *pbft.ViewChange)) *pbft.NewView {
	at := slices.IndexFunc(n.Changes, func(vc *pbft.ViewChange) bool { return vc.Replica == r.Self })
	if at < 0 {
		return nil
	}
	c := *n
	c.Changes = slices.Clone(n.Changes)
	vc := *n.Changes[at]
	vc.Locks = slices.Clone(vc.Locks)
	change(&vc)
	c.Changes[at] = r.resignChange(&vc)
	return &c
}

func (r *Replica) resignChange(vc *pbft.ViewChange) *pbft.ViewChange {
	vc.Sig = r.Sign(vc.Statement(r.Cluster))
	return vc
}

// highestBase returns the highest base of a NEW-VIEW's view changes.
func highestBase(n *pbft.NewView) *pbft.Certificate {
	top := &n.Changes[0].Base
	for _, vc := range n.Changes {
		if vc.Base.Seq > top.Seq {
			top = &vc.Base
		}
	}
	return top
}

// first is the base of who has committed nothing in the epoch.
func (r *Replica) first() pbft.Certificate {
	return pbft.Certificate{Subject: pbft.Subject{
		Phase: pbft.Commit, Epoch: r.Epoch, Seq: r.Start.Seq, Digest: r.Start.Digest(), State: r.Start.State,
	}}
}

// sortChanges puts view changes into their order, each replica's first one only.
func sortChanges(changes []*pbft.ViewChange) {
	slices.SortStableFunc(changes, func(a, b *pbft.ViewChange) int { return int(a.Replica) - int(b.Replica) })
}

// begins has a view begin with a NEW-VIEW of the replica's own making, and goes on with
// another block in the place of the first that it does not carry over.
func (r *Replica) begins(n *pbft.NewView) []Packet {
	out := []Packet{toAll(n)}
	if len(n.Changes) == 0 {
		return out
	}
	tip := n.Changes[0].Base // the highest, and not its own if others have one as high
	for _, vc := range n.Changes {
		if vc.Base.Seq > tip.Seq || (vc.Base.Seq == tip.Seq && vc.Replica != r.Self) {
			tip = vc.Base
		}
	}
	seq, parent := tip.Seq, tip.Digest
	if last := len(n.Proposals) - 1; last >= 0 {
		seq, parent = n.Proposals[last].Header.Seq, n.Proposals[last].Header.Digest()
	}
	if h, ok := r.twin(seq+1, parent); ok {
		out = append(out, toAll(r.resign(&pbft.Proposal{View: n.View, Header: h})))
	}
	return out
}

// twin returns a block that is as good as one that was proposed on top of another, and
// another one all the same.
func (r *Replica) twin(seq uint64, parent pbft.Digest) (pbft.Header, bool) {
	for _, m := range slices.Backward(r.Heard) {
		if p, ok := m.(*pbft.Proposal); ok && p.Header.Seq == seq && p.Header.Parent == parent && p.Header.Epoch == r.Epoch {
			return r.later(p.Header)
		}
	}
	return pbft.Header{}, false
}

// invented is a block that nobody has proposed, on top of another: a good one, if one of
// the kind was heard of.
func (r *Replica) invented(seq uint64, parent pbft.Digest) pbft.Header {
	if h, ok := r.twin(seq, parent); ok {
		return h
	}
	return pbft.Header{Epoch: r.Epoch, Seq: seq, Parent: parent, State: r.garbage(), Committee: r.Start.Following()}
}
