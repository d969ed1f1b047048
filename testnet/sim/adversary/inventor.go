package adversary

import "github.com/decube/decube/ledger/pbft"

// inventor asks for views from a base that nobody has committed: above all others, so
// that nothing of theirs would have to be proposed again.
type inventor struct{}

func (inventor) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	var out []Packet
	for _, e := range envelopes {
		switch m := e.Message.(type) {
		case *pbft.ViewChange:
			if m.Replica == r.Self && r.Rand.IntN(2) == 0 {
				c := *m
				r.invent(&c, &m.Base)
				e.Message = r.resignChange(&c)
			}
		case *pbft.NewView:
			top := highestBase(m)
			n := r.own(m, func(vc *pbft.ViewChange) { r.invent(vc, top) })
			if n != nil && e.All && r.Rand.IntN(3) > 0 {
				out = append(out, r.begins(r.follow(n))...)
				continue
			}
		}
		out = append(out, Packet{Envelope: e})
	}
	return out
}

// invent gives a view change a base that was made up, beside the highest that there is
// or above it: with no proof, with one of others' signatures under other things, or with
// that of its own base.
func (r *Replica) invent(vc *pbft.ViewChange, top *pbft.Certificate) {
	h := r.invented(top.Seq+r.Rand.Uint64N(3), r.garbage())
	base := r.forge(pbft.Commit, vc.View-1, &h)
	switch r.Rand.IntN(3) {
	case 0:
		base.Sigs = nil
	case 1:
		base.Sigs = vc.Base.Sigs
	default:
	}
	vc.Base, vc.Locks = base, nil
}
