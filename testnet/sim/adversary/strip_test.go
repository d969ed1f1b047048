package adversary

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// Strip returns a NEW-VIEW as it is encoded: with the proofs of its foundation, and with
// the mere claims of all else. The signatures are over claims, and stay good.
func Strip(v *pbft.NewView) *pbft.NewView {
	bases, locks := pbft.Foundation(v.Changes)
	out := *v
	out.Changes = make([]*pbft.ViewChange, len(v.Changes))
	for i, c := range v.Changes {
		bare := *c
		if !slices.Contains(bases, &c.Base) {
			bare.Base = claimedBase(&c.Base)
		}
		bare.Locks = slices.Clone(c.Locks)
		for j := range c.Locks {
			if !slices.Contains(locks, &c.Locks[j]) {
				bare.Locks[j] = claimed(&c.Locks[j])
			}
		}
		out.Changes[i] = &bare
	}
	return &out
}

// claimed returns a lock of which only the claim is left.
func claimed(l *pbft.Lock) pbft.Lock {
	c := l.Claim()
	return pbft.Lock{Cert: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Prepare, Epoch: l.Cert.Epoch, View: c.View, Seq: c.Seq, Digest: c.Digest}}}
}

// claimedBase returns a base of which only the claim is left.
func claimedBase(c *pbft.Certificate) pbft.Certificate {
	return pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: c.Epoch, Seq: c.Seq, Digest: c.Digest}}
}
