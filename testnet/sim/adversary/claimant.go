package adversary

import "github.com/decube/decube/ledger/pbft"

// claimant begins views without the proofs that they need: it leaves out those of others'
// locks, or claims locks of its own that nobody has proved, or the very locks of others
// with another header.
type claimant struct{}

func (claimant) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		if n, ok := out[i].Message.(*pbft.NewView); ok && r.Rand.IntN(4) > 0 {
			out[i].Message = r.claim(n)
		}
	}
	return out
}

func (r *Replica) claim(n *pbft.NewView) *pbft.NewView {
	if r.Rand.IntN(4) == 0 {
		return r.withholdProofs(n)
	}
	c := r.own(n, func(vc *pbft.ViewChange) {
		if l := someLock(n); l != nil && r.Rand.IntN(2) == 0 {
			r.reheader(vc, l)
			return
		}
		// A lock in the highest view there can be, at the first place above the base that
		// everybody has: it would be proposed in place of what was committed there.
		base := highestBase(n)
		h := r.invented(base.Seq+1, base.Digest)
		cert := pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Prepare, Epoch: h.Epoch, View: vc.View - 1, Seq: h.Seq, Digest: h.Digest(), State: h.State}}
		if h.Seq > vc.Base.Seq && h.Seq <= vc.Base.Seq+r.Window {
			vc.Locks = []pbft.Lock{{Header: h, Cert: cert}}
		}
	})
	if c == nil {
		return n
	}
	return r.follow(c)
}

// reheader claims what somebody else has proved, with another header beside it.
func (r *Replica) reheader(vc *pbft.ViewChange, of *pbft.Lock) {
	l := *of
	l.Header.Time++
	if l.Cert.Seq > vc.Base.Seq && l.Cert.Seq <= vc.Base.Seq+r.Window {
		vc.Locks = []pbft.Lock{l}
	}
}

// someLock returns the lowest lock of a new view's first view change that has any.
func someLock(n *pbft.NewView) *pbft.Lock {
	for _, vc := range n.Changes {
		if len(vc.Locks) > 0 {
			return &vc.Locks[0]
		}
	}
	return nil
}

// withholdProofs leaves the claims and takes the certificates away.
func (r *Replica) withholdProofs(n *pbft.NewView) *pbft.NewView {
	c := *n
	c.Changes = append([]*pbft.ViewChange(nil), n.Changes...)
	for i, vc := range c.Changes {
		bare := *vc
		bare.Locks = append([]pbft.Lock(nil), vc.Locks...)
		for j := range bare.Locks {
			bare.Locks[j].Cert.Sigs = nil
		}
		c.Changes[i] = &bare
	}
	return &c
}
