package adversary

import "github.com/decube/decube/ledger/pbft"

// newViewBender begins views with another set of view changes than it has, or with
// other proposals than follow from them.
type newViewBender struct{}

func (newViewBender) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		if n, ok := out[i].Message.(*pbft.NewView); ok {
			out[i].Message = r.bend(n)
		}
	}
	return out
}

func (r *Replica) bend(n *pbft.NewView) pbft.Message {
	c := *n
	c.Changes = append([]*pbft.ViewChange(nil), n.Changes...)
	c.Proposals = append([]*pbft.Proposal(nil), n.Proposals...)
	if last := len(c.Proposals) - 1; last >= 0 && r.Rand.IntN(2) == 0 { // propose something else on top
		p := *c.Proposals[last]
		p.Header.Time++
		c.Proposals[last], _ = r.resign(&p).(*pbft.Proposal)
		return r.resign(&c)
	}
	switch r.Rand.IntN(4) {
	case 0: // one view change less
		drop := r.Rand.IntN(len(c.Changes))
		c.Changes = append(c.Changes[:drop], c.Changes[drop+1:]...)
	case 1: // an older view change of somebody
		for _, m := range r.Heard {
			if vc, ok := m.(*pbft.ViewChange); ok && vc.View < c.View {
				c.Changes[r.Rand.IntN(len(c.Changes))] = vc
			}
		}
	case 2: // forget what must be proposed again
		c.Proposals = nil
	default: // the same view change twice
		c.Changes[0] = c.Changes[len(c.Changes)-1]
	}
	return r.resign(&c)
}
