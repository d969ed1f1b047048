package pbft

import "github.com/decube/decube/ledger/quorum"

// choice is what a vote in one place is for.
type choice struct{ digest, state Digest }

// ballot counts the votes of one phase for one place, and keeps them: together
// they are a certificate, and two of one replica are evidence.
type ballot struct {
	tally *quorum.Tally[choice]
	votes []*Vote // by replica, the first of each
}

func newBallot(c quorum.Committee) *ballot {
	return &ballot{tally: quorum.NewTally[choice](c), votes: make([]*Vote, c.Size())}
}

// add counts a vote and returns evidence when it contradicts its author's first.
func (b *ballot) add(v *Vote) (quorum.Outcome, *Evidence) {
	outcome, err := b.tally.Add(v.Replica, choice{v.Digest, v.State})
	switch {
	case err != nil:
		return quorum.Repeated, nil // verified votes are of the committee's replicas
	case outcome == quorum.Counted:
		b.votes[v.Replica] = v
	case outcome == quorum.Conflicting:
		return outcome, &Evidence{Kind: Equivocation, First: *b.votes[v.Replica], Second: *v}
	}
	return outcome, nil
}

// certified returns the certificate when a quorum agrees, else nil.
func (b *ballot) certified() *Certificate {
	_, voters, ok := b.tally.Certified()
	if !ok {
		return nil
	}
	cert := &Certificate{Sigs: make([]Signed, 0, voters.Len())}
	for r := range voters.All() {
		cert.Subject = b.votes[r].Subject
		cert.Sigs = append(cert.Sigs, Signed{r, b.votes[r].Sig})
	}
	return cert
}

// of returns a replica's vote, or nil.
func (b *ballot) of(r quorum.Replica) *Vote {
	if b == nil {
		return nil
	}
	return b.votes[r]
}
