package adversary

import "github.com/decube/decube/ledger/pbft"

// relabeler says its own things again as of another view or epoch, and passes others'
// on as what they are not: with another view, or a leader's proposal as a mere vote,
// which it is too.
type relabeler struct{}

func (relabeler) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for _, e := range envelopes {
		if r.Rand.IntN(3) == 0 {
			out = append(out, toAll(r.relabel(e.Message)))
		}
	}
	return out
}

// Listen passes proposals on as their leader's votes, at once: the vote may be there
// before the proposal.
func (relabeler) Listen(r *Replica, m pbft.Message) []Packet {
	var proposals []*pbft.Proposal
	switch m := m.(type) {
	case *pbft.Proposal:
		proposals = append(proposals, m)
	case *pbft.NewView:
		proposals = m.Proposals
	default:
		if r.Rand.IntN(64) == 0 {
			return []Packet{toAll(r.shift(m))}
		}
	}
	var out []Packet
	for _, p := range proposals {
		out = append(out, toAll(&pbft.Vote{Subject: p.Subject(), Replica: pbft.Leader(r.Committee, r.Epoch, p.View), Sig: p.Sig}))
	}
	return out
}

// relabel returns a message of the replica's own as of another place, with a good
// signature.
func (r *Replica) relabel(m pbft.Message) pbft.Message { return r.resign(r.shift(m)) }

// shift returns a message as of the view or the epoch before or after its own.
func (r *Replica) shift(m pbft.Message) pbft.Message {
	by := uint64(1)
	if r.Rand.IntN(2) == 0 {
		by = -by
	}
	epoch := r.Rand.IntN(2) == 0
	move := func(e, v *uint64) {
		if epoch {
			*e += by
		} else {
			*v += by
		}
	}
	switch m := m.(type) {
	case *pbft.Vote:
		c := *m
		move(&c.Epoch, &c.View)
		return &c
	case *pbft.Proposal:
		c := *m
		move(&c.Header.Epoch, &c.View)
		return &c
	case *pbft.ViewChange:
		c := *m
		move(&c.Epoch, &c.View)
		return &c
	case *pbft.NewView:
		c := *m
		move(&c.Epoch, &c.View)
		return &c
	case *pbft.Status:
		c := *m
		move(&c.Epoch, &c.View)
		return &c
	default:
		return m
	}
}
