package adversary

import "github.com/decube/decube/ledger/pbft"

// checkpointLiar votes for checkpoints of states that nobody has, and of blocks far
// ahead.
type checkpointLiar struct{}

func (checkpointLiar) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		if v, ok := out[i].Message.(*pbft.Vote); ok && v.Phase == pbft.Checkpoint {
			s := v.Subject
			switch r.Rand.IntN(3) {
			case 0:
				s.State = r.garbage()
			case 1:
				s.Digest = r.garbage()
			default:
				s.Seq += 1 + r.Rand.Uint64N(50)
			}
			out[i].Message = r.vote(s)
		}
	}
	return out
}

func (checkpointLiar) Tick(r *Replica) []Packet {
	if r.Rand.IntN(8) != 0 {
		return nil
	}
	s := pbft.Subject{Phase: pbft.Checkpoint, Epoch: r.Epoch, Seq: r.Start.Seq + 1 + r.Rand.Uint64N(100), Digest: r.garbage(), State: r.garbage()}
	return []Packet{toAll(r.vote(s))}
}

// statusLiar lies about how far it is.
type statusLiar struct{}

func (statusLiar) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		if s, ok := out[i].Message.(*pbft.Status); ok {
			c := *s
			r.lie(&c)
			out[i].Message = r.resign(&c)
		}
	}
	return out
}

func (statusLiar) Tick(r *Replica) []Packet {
	if r.Rand.IntN(8) != 0 {
		return nil
	}
	s := &pbft.Status{Epoch: r.Epoch, Replica: r.Self, Committed: r.Rand.Uint64N(200)}
	r.lie(s)
	return []Packet{toAll(r.resign(s))}
}

// lie changes one thing in a report.
func (r *Replica) lie(s *pbft.Status) {
	by := r.Rand.Uint64N(1 << (1 + r.Rand.UintN(40)))
	switch r.Rand.IntN(5) {
	case 0:
		s.View += by
	case 1:
		s.Committed += by
	case 2:
		s.Stable += by
	case 3:
		s.Committed, s.Stable = 0, 0
	default:
		s.Changing = !s.Changing
	}
}
