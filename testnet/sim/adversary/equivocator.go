package adversary

import "github.com/decube/decube/ledger/pbft"

// equivocator proposes two blocks at once when it leads: one to some replicas, one
// to the others. Both are good blocks with the same body. It votes for both.
type equivocator struct {
	twins map[pbft.Digest]pbft.Header // the second block by the digest of the first
}

func (e *equivocator) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	var out []Packet
	for _, env := range envelopes {
		switch m := env.Message.(type) {
		case *pbft.Proposal:
			out = append(out, e.propose(r, m)...)
		case *pbft.Vote:
			out = append(out, e.vote(r, m)...)
		default:
			out = append(out, Packet{Envelope: env})
		}
	}
	return out
}

// propose sends the block to some and its twin to the others. A twin of a block
// stands on the twin of the block before.
func (e *equivocator) propose(r *Replica, p *pbft.Proposal) []Packet {
	if e.twins == nil || len(e.twins) > maxHeard {
		e.twins = map[pbft.Digest]pbft.Header{}
	}
	h := p.Header
	if t, ok := e.twins[h.Parent]; ok {
		h.Parent = t.Digest()
	}
	h, ok := r.later(h)
	if !ok {
		return []Packet{toAll(p)}
	}
	e.twins[p.Header.Digest()] = h
	twin := r.resign(&pbft.Proposal{View: p.View, Header: h})
	var out []Packet
	for _, to := range r.others() {
		if e.side(r, int(to)) {
			out = append(out, toOne(to, p))
		} else {
			out = append(out, toOne(to, twin))
		}
	}
	return out
}

// vote votes for the block to those who have it, and for the twin to the others.
func (e *equivocator) vote(r *Replica, v *pbft.Vote) []Packet {
	h, ok := e.twins[v.Digest]
	if !ok || v.Phase == pbft.Checkpoint {
		return []Packet{toAll(v)}
	}
	s := v.Subject
	s.Digest, s.State = h.Digest(), h.State
	twin := r.vote(s)
	var out []Packet
	for _, to := range r.others() {
		if e.side(r, int(to)) {
			out = append(out, toOne(to, v))
		} else {
			out = append(out, toOne(to, twin))
		}
	}
	return out
}

// side divides the others in two.
func (e *equivocator) side(r *Replica, to int) bool { return to*2 < r.Committee.Size() }
