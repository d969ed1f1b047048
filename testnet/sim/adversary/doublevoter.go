package adversary

import "github.com/decube/decube/ledger/pbft"

// doubleVoter votes for what it should, and in the same place for something else:
// another block that it has heard of, or nothing that exists. Some replicas get
// the one vote, some the other, some both.
type doubleVoter struct{}

func (doubleVoter) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	var out []Packet
	for _, e := range envelopes {
		v, ok := e.Message.(*pbft.Vote)
		if !ok {
			out = append(out, Packet{Envelope: e})
			continue
		}
		other := r.vote(r.otherChoice(v.Subject))
		for _, to := range r.others() {
			switch r.Rand.IntN(3) {
			case 0:
				out = append(out, toOne(to, v))
			case 1:
				out = append(out, toOne(to, other))
			default:
				out = append(out, toOne(to, other), toOne(to, v))
			}
		}
	}
	return out
}

// otherChoice returns what else could be voted for in a place.
func (r *Replica) otherChoice(s pbft.Subject) pbft.Subject {
	for _, m := range r.Heard {
		if p, ok := m.(*pbft.Proposal); ok && p.Header.Seq == s.Seq && p.Header.Digest() != s.Digest {
			s.Digest, s.State = p.Header.Digest(), p.Header.State
			return s
		}
	}
	if r.Rand.IntN(2) == 0 {
		s.State = r.garbage()
	} else {
		s.Digest = r.garbage()
	}
	return s
}
