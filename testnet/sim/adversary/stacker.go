package adversary

import "github.com/decube/decube/ledger/pbft"

// stacker claims locks above all that there are, up to the window's end: on top of the
// chain, beside it, or above a gap. What others have locked is to look unfinished, or to
// be joined with what was made up.
type stacker struct{}

func (stacker) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		switch m := out[i].Message.(type) {
		case *pbft.ViewChange:
			if m.Replica == r.Self && r.Rand.IntN(2) == 0 {
				c := *m
				c.Locks = append([]pbft.Lock(nil), m.Locks...)
				r.stack(&c)
				out[i].Message = r.resignChange(&c)
			}
		case *pbft.NewView:
			if n := r.own(m, r.stack); n != nil && r.Rand.IntN(3) > 0 {
				out[i].Message = r.follow(n)
			}
		}
	}
	return out
}

func (r *Replica) stack(vc *pbft.ViewChange) {
	seq, parent := vc.Base.Seq, vc.Base.Digest
	if len(vc.Locks) > 0 {
		top := &vc.Locks[len(vc.Locks)-1].Cert
		seq, parent = top.Seq, top.Digest
	}
	switch r.Rand.IntN(3) {
	case 0:
		seq++ // above a gap
	case 1:
		parent = r.garbage()
	default:
	}
	for seq++; seq <= vc.Base.Seq+r.Window; seq++ {
		h := r.invented(seq, parent)
		cert := r.forge(pbft.Prepare, r.Rand.Uint64N(vc.View), &h)
		if r.Rand.IntN(2) == 0 {
			cert.Sigs = nil
		}
		vc.Locks = append(vc.Locks, pbft.Lock{Header: h, Cert: cert})
		parent = h.Digest()
	}
}
