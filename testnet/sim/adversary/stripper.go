package adversary

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// stripper begins views with less of what others have locked than it knows of. Of the
// view changes for its view it chooses those with the lowest locks, and what follows
// from them; or it puts older ones of the same replicas in their place, or their own
// without the locks, or leaves those with locks out.
type stripper struct{}

func (stripper) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	var out []Packet
	for _, e := range envelopes {
		if n, ok := e.Message.(*pbft.NewView); ok && e.All {
			out = append(out, r.begins(r.stripOthers(n))...)
			continue
		}
		out = append(out, Packet{Envelope: e})
	}
	return out
}

func (r *Replica) stripOthers(n *pbft.NewView) *pbft.NewView {
	c := *n
	c.Changes = nil
	way := r.Rand.IntN(4)
	for _, vc := range n.Changes {
		older, lower := r.heardChanges(vc, n.Changes)
		switch {
		case vc.Replica == r.Self:
			vc = r.resignChange(&pbft.ViewChange{Epoch: vc.Epoch, View: vc.View, Replica: vc.Replica, Base: r.first()})
		case way == 0 && older != nil:
			again := *older // the frame has one view for all of them
			again.View = n.View
			vc = &again
		case way == 1 && len(vc.Locks) > 0:
			bare := *vc
			bare.Locks = nil
			vc = &bare
		case way == 2 && len(vc.Locks) > 0:
			continue // and too few are left
		case way == 3 && lower != nil:
			vc, way = lower, -1 // once
		}
		c.Changes = append(c.Changes, vc)
	}
	sortChanges(c.Changes)
	return r.follow(&c)
}

// heardChanges returns an older view change of the same replica as one, and one for the
// same view with fewer locks, of a replica that has none among those of a new view.
func (r *Replica) heardChanges(vc *pbft.ViewChange, among []*pbft.ViewChange) (older, lower *pbft.ViewChange) {
	for _, m := range r.Heard {
		x, ok := m.(*pbft.ViewChange)
		switch {
		case !ok || x.Epoch != vc.Epoch || x.Replica == r.Self:
		case x.Replica == vc.Replica && x.View < vc.View:
			older = x
		case x.View == vc.View && len(x.Locks) < len(vc.Locks) &&
			!slices.ContainsFunc(among, func(y *pbft.ViewChange) bool { return y.Replica == x.Replica }):
			lower = x
		}
	}
	return older, lower
}
