package adversary

import "github.com/decube/decube/ledger/pbft"

// relabeler says its own things again as of another view or epoch, and passes others'
// on as what they are not: with another view, or a leader's proposal as a mere vote,
// which it is too.
type relabeler struct{ passed map[*pbft.Proposal]bool }

func (*relabeler) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for _, e := range envelopes {
		if r.Rand.IntN(3) == 0 {
			out = append(out, toAll(r.relabel(e.Message)))
		}
	}
	return out
}

// Tick passes on what was heard last.
func (l *relabeler) Tick(r *Replica) []Packet {
	var out []Packet
	for _, m := range r.Heard[max(0, len(r.Heard)-16):] {
		switch m := m.(type) {
		case *pbft.Proposal:
			out = append(out, l.vote(r, m)...)
		case *pbft.NewView:
			for _, p := range m.Proposals {
				out = append(out, l.vote(r, p)...)
			}
		default:
			if r.Rand.IntN(32) == 0 {
				out = append(out, toAll(r.shift(m)))
			}
		}
	}
	return out
}

// vote passes a proposal on as its leader's vote, once.
func (l *relabeler) vote(r *Replica, p *pbft.Proposal) []Packet {
	if l.passed[p] {
		return nil
	}
	if l.passed == nil || len(l.passed) > maxHeard {
		l.passed = map[*pbft.Proposal]bool{}
	}
	l.passed[p] = true
	return []Packet{toAll(&pbft.Vote{Subject: p.Subject(), Replica: pbft.Leader(r.Committee, r.Epoch, p.View), Sig: p.Sig})}
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
