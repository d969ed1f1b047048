package adversary

import (
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// withholder proposes blocks and gives their bodies to few, or to nobody.
type withholder struct{}

func (withholder) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		if _, ok := out[i].Message.(*pbft.Proposal); !ok {
			continue
		}
		given := r.Rand.IntN(r.Committee.Faulty() + 2)
		first := r.Rand.IntN(r.Committee.Size())
		out[i].Withhold = func(to quorum.Replica) bool {
			return (int(to)+first)%r.Committee.Size() >= given
		}
	}
	return out
}

// Withholds reports whether a strategy keeps the bodies of its blocks from others.
func Withholds(s Strategy) bool {
	_, ok := s.(withholder)
	return ok
}
