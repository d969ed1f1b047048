package adversary

import "github.com/decube/decube/ledger/pbft"

// forgetful denies in view changes what it has helped to commit: it leaves out
// locks, and goes back to an earlier base.
type forgetful struct{}

func (forgetful) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		vc, ok := out[i].Message.(*pbft.ViewChange)
		if !ok || vc.Replica != r.Self {
			continue
		}
		c := *vc
		switch r.Rand.IntN(3) {
		case 0:
			c.Locks = nil
		case 1:
			if len(c.Locks) > 0 {
				drop := r.Rand.IntN(len(c.Locks))
				c.Locks = append(append([]pbft.Lock(nil), c.Locks[:drop]...), c.Locks[drop+1:]...)
			}
		default:
			c.Base = pbft.Certificate{Subject: pbft.Subject{
				Phase: pbft.Commit, Epoch: r.Epoch, Seq: r.Start.Seq, Digest: r.Start.Digest(), State: r.Start.State,
			}}
			c.Locks = nil
		}
		out[i].Message = r.resign(&c)
	}
	return out
}
