package adversary

import "github.com/decube/decube/ledger/pbft"

// once is honest up to some height, then proposes two blocks at one place, and is
// silent from there on: nobody can ask it what it meant.
type once struct {
	equivocator
	left   int // blocks until it happens
	begun  bool
	silent bool
}

func (o *once) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	if !o.begun {
		o.begun, o.left = true, r.Rand.IntN(12)
	}
	if o.silent {
		return nil
	}
	var out []Packet
	for _, e := range envelopes {
		p, ok := e.Message.(*pbft.Proposal)
		if !ok || o.left > 0 {
			if ok {
				o.left--
			}
			out = append(out, Packet{Envelope: e})
			continue
		}
		o.silent = true
		return append(out, o.propose(r, p)...)
	}
	return out
}
