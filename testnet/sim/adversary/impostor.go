package adversary

import "github.com/decube/decube/ledger/pbft"

// impostor proposes blocks whose header says something else of where they belong than
// where that is: another committee, epoch, time, or an end of the epoch.
type impostor struct{}

func (impostor) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		p, ok := out[i].Message.(*pbft.Proposal)
		if !ok || r.Rand.IntN(3) == 0 {
			continue
		}
		c := *p
		switch r.Rand.IntN(4) {
		case 0:
			c.Header.Committee = r.garbage()
		case 1:
			c.Header.Epoch++
		case 2:
			c.Header.Time -= 1 + r.Rand.Int64N(5000)
		default:
			c.Header.Next = r.garbage()
		}
		twin := r.resign(&c)
		out[i].Message = twin
		// Its own vote for it makes the others' a quorum.
		s := c.Subject()
		s.Phase = pbft.Commit
		out = append(out, toAll(r.vote(s)))
	}
	return out
}
