package adversary

import "github.com/decube/decube/ledger/pbft"

// spammer asks for one view after the other, near and far, all the time.
type spammer struct{ last *pbft.ViewChange }

func (s *spammer) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	for _, e := range envelopes {
		if vc, ok := e.Message.(*pbft.ViewChange); ok && vc.Replica == r.Self {
			s.last = vc
		}
	}
	return honest(envelopes)
}

func (s *spammer) Tick(r *Replica) []Packet {
	if r.Rand.IntN(3) != 0 {
		return nil
	}
	c := pbft.ViewChange{Epoch: r.Epoch, Replica: r.Self, Base: pbft.Certificate{Subject: pbft.Subject{
		Phase: pbft.Commit, Epoch: r.Epoch, Seq: r.Start.Seq, Digest: r.Start.Digest(), State: r.Start.State,
	}}}
	if s.last != nil && s.last.Epoch == r.Epoch {
		c = *s.last
	}
	c.View += []uint64{1, 2, 3, 100, 1 << 40}[r.Rand.IntN(5)]
	return []Packet{toAll(r.resign(&c))}
}
