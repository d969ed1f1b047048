package adversary

import "github.com/decube/decube/ledger/pbft"

// forger makes up certificates, out of its own signature and other people's
// signatures under other things, and puts them wherever one is wanted.
type forger struct{}

func (forger) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		if vc, ok := out[i].Message.(*pbft.ViewChange); ok && vc.Replica == r.Self && r.Rand.IntN(2) == 0 {
			out[i].Message = r.forgeChange(vc)
		}
	}
	return out
}

// Tick now and then sends a decision or a checkpoint that nobody has made.
func (forger) Tick(r *Replica) []Packet {
	if r.Rand.IntN(20) != 0 {
		return nil
	}
	h := r.Start
	for _, m := range r.Heard {
		if p, ok := m.(*pbft.Proposal); ok {
			h = p.Header
		}
	}
	h.Epoch, h.Committee, h.Next = r.Epoch, r.Start.Following(), pbft.Digest{}
	h.Seq += r.Rand.Uint64N(3)
	h.State = r.garbage()
	if r.Rand.IntN(2) == 0 {
		return []Packet{toAll(&pbft.Certified{Cert: r.forge(pbft.Checkpoint, 0, &h)})}
	}
	return []Packet{toAll(&pbft.Decision{Header: h, Cert: r.forge(pbft.Commit, r.Rand.Uint64N(3), &h)})}
}

// forge makes a certificate with its own signature and others' that do not fit.
func (r *Replica) forge(phase pbft.Phase, view uint64, h *pbft.Header) pbft.Certificate {
	s := pbft.Subject{Phase: phase, Epoch: h.Epoch, View: view, Seq: h.Seq, Digest: h.Digest(), State: h.State}
	cert := pbft.Certificate{Subject: s}
	for i := range r.Committee.Quorum() {
		signed := pbft.Signed{Replica: r.Self, Sig: r.Sign(s.Statement(r.Cluster))}
		for _, m := range r.Heard {
			if v, ok := m.(*pbft.Vote); ok && int(v.Replica) == i {
				signed = pbft.Signed{Replica: v.Replica, Sig: v.Sig}
			}
		}
		cert.Sigs = append(cert.Sigs, signed)
	}
	return cert
}

// forgeChange claims a lock on a block that nobody has prepared.
func (r *Replica) forgeChange(vc *pbft.ViewChange) pbft.Message {
	c := *vc
	if len(c.Locks) == 0 {
		h := pbft.Header{Epoch: r.Epoch, Seq: c.Base.Seq + 1, Parent: c.Base.Digest, State: r.garbage(), Committee: r.Start.Following()}
		c.Locks = []pbft.Lock{{Header: h, Cert: r.forge(pbft.Prepare, c.View-1, &h)}}
		return r.resign(&c)
	}
	c.Locks = append([]pbft.Lock(nil), c.Locks...)
	l := &c.Locks[r.Rand.IntN(len(c.Locks))]
	l.Header.Time++
	l.Cert.Digest = l.Header.Digest()
	if r.Rand.IntN(2) == 0 {
		l.Cert.View = c.View - 1
	}
	return r.resign(&c)
}
