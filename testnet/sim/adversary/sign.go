package adversary

import "github.com/decube/decube/ledger/pbft"

// resign returns a copy of a message with the replica's own, good signature, as
// far as the message has a signature of its author.
func (r *Replica) resign(m pbft.Message) pbft.Message {
	switch m := m.(type) {
	case *pbft.Vote:
		c := *m
		c.Sig = r.Sign(c.Statement(r.Cluster))
		return &c
	case *pbft.Proposal:
		c := *m
		c.Sig = r.Sign(c.Subject().Statement(r.Cluster))
		return &c
	case *pbft.ViewChange:
		c := *m
		c.Sig = r.Sign(c.Statement(r.Cluster))
		return &c
	case *pbft.NewView:
		c := *m
		c.Sig = r.Sign(c.Statement(r.Cluster))
		return &c
	case *pbft.Status:
		c := *m
		c.Sig = r.Sign(c.Statement(r.Cluster))
		return &c
	default:
		return m
	}
}

// vote makes a vote of the replica's.
func (r *Replica) vote(s pbft.Subject) *pbft.Vote {
	return &pbft.Vote{Subject: s, Replica: r.Self, Sig: r.Sign(s.Statement(r.Cluster))}
}

// garbage is a digest of nothing.
func (r *Replica) garbage() (d pbft.Digest) {
	for i := range d {
		d[i] = byte(r.Rand.Uint32())
	}
	return d
}
