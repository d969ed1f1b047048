package pbft

import (
	"fmt"

	"github.com/decube/decube/ledger/quorum"
)

// EvidenceKind is a kind of misbehaviour that can be proved.
type EvidenceKind uint8

const (
	// Equivocation is signing two blocks at one sequence number of one view, in
	// one phase or by PREPARE for the one and COMMIT for the other.
	Equivocation EvidenceKind = 1
	// Amnesia is sending COMMIT for a block and then, asking for a later view,
	// claiming no lock on it or on one below it, and no committed chain that covers it.
	Amnesia EvidenceKind = 2
)

// String returns the kind's name.
func (k EvidenceKind) String() string {
	switch k {
	case Equivocation:
		return "equivocation"
	case Amnesia:
		return "amnesia"
	default:
		return fmt.Sprintf("evidence %d", uint8(k))
	}
}

// Evidence proves that one replica broke the protocol. It stands by itself:
// whoever has the epoch's keys can check it.
type Evidence struct {
	Kind   EvidenceKind
	First  Vote
	Second Vote        // Equivocation
	Change *ViewChange // Amnesia; its certificates are not looked at
}

// Guilty returns the replica that the evidence is about.
func (e *Evidence) Guilty() quorum.Replica { return e.First.Replica }

// String returns what was done by whom.
func (e *Evidence) String() string {
	if e.Kind == Amnesia {
		return fmt.Sprintf("%v of %d: %v, then %v", e.Kind, e.Guilty(), e.First.Subject, e.Change)
	}
	return fmt.Sprintf("%v of %d: %v and %v", e.Kind, e.Guilty(), e.First.Subject, e.Second.Subject)
}

// Proves checks that what the evidence shows is misbehaviour, signatures
// included. The error says what is missing.
func (v *Verifier) Proves(e *Evidence) error {
	var c collector
	if err := v.vote(&c, &e.First); err != nil {
		return err
	}
	switch e.Kind {
	case Equivocation:
		if err := v.vote(&c, &e.Second); err != nil {
			return err
		}
		if !contradict(&e.First, &e.Second) {
			return fmt.Errorf("%w: %v do not contradict each other", ErrMalformed, e)
		}
	case Amnesia:
		if e.Change == nil || !forgets(&e.First, e.Change) {
			return fmt.Errorf("%w: %v do not contradict each other", ErrMalformed, e)
		}
		if err := v.member(e.Change.Epoch, e.Change.Replica); err != nil {
			return err
		}
		c.add(e.Change.Replica, e.Change.Statement(v.Cluster), e.Change.Sig)
	default:
		return fmt.Errorf("%w: %v", ErrMalformed, e.Kind)
	}
	for i, good := range v.check(c.items) {
		if !good {
			return fmt.Errorf("%w: replica %d in evidence", ErrSignature, c.items[i].Replica)
		}
	}
	return nil
}

// contradict reports whether no honest replica signs both votes.
func contradict(a, b *Vote) bool {
	if a.Replica != b.Replica || a.Epoch != b.Epoch || a.View != b.View || a.Seq != b.Seq {
		return false
	}
	if (a.Phase == Checkpoint) != (b.Phase == Checkpoint) {
		return false
	}
	return a.Digest != b.Digest || a.State != b.State
}

// forgets reports whether a view change denies the COMMIT that its author sent
// in an earlier view. Whoever sends COMMIT for a block has sent it in that view for
// all below that were not committed, so that a lock of that view or a later one is
// owed at each sequence number from the base up to the vote's. If only the vote's own
// were, a replica could own up to that lock, leave out one below, and so have the
// block dropped without being guilty of anything.
func forgets(vote *Vote, change *ViewChange) bool {
	if vote.Phase != Commit || vote.Replica != change.Replica || vote.Epoch != change.Epoch ||
		vote.View >= change.View || change.Base.Seq >= vote.Seq {
		return false
	}
	owed := change.Base.Seq + 1
	for i := range change.Locks {
		c := change.Locks[i].Claim()
		if c.Seq != owed || c.Seq > vote.Seq {
			break
		}
		if c.View < vote.View || (c.Seq == vote.Seq && c.View == vote.View && c.Digest != vote.Digest) {
			return true
		}
		owed++
	}
	return owed <= vote.Seq
}

// Blame names the replicas that must have broken the protocol for two blocks to
// be committed at one sequence number of one epoch. Besides the two certificates
// it takes the NEW-VIEWs of the views between theirs; each honest replica keeps
// them. With all of them it names at least f+1 replicas at the lowest sequence
// number where the chain has forked, which is where to look: above it, honest
// replicas may be on either side, and fewer may be named. An honest one never is.
func Blame(a, b *Certificate, between []*NewView) []Evidence {
	if a.View > b.View {
		a, b = b, a
	}
	if a.Phase != Commit || b.Phase != Commit || a.Epoch != b.Epoch || a.Seq != b.Seq || a.Digest == b.Digest {
		return nil
	}
	if a.View == b.View {
		return doubleSigned(a, b)
	}
	// In the first view in which what a commits was not carried over, a quorum of
	// view changes leaves it out or shows a lock that contradicts it; either shares
	// f+1 replicas with those who signed a. Which one that is does not show: a leader
	// can begin a view twice, and somebody can deny what others carry over. So all are
	// looked at, and each piece of evidence proves what it says by itself.
	guilty := map[quorum.Replica]bool{}
	var out []Evidence
	for _, n := range between {
		if n.Epoch != a.Epoch || n.View <= a.View || n.View > b.View {
			continue
		}
		for _, e := range append(forgetful(a, n), lockedOn(a, n)...) {
			if !guilty[e.Guilty()] {
				guilty[e.Guilty()] = true
				out = append(out, e)
			}
		}
	}
	return out
}

// lockedOn returns evidence against all who signed a certificate and prepared
// another block in the same view, as a lock in a new view shows.
func lockedOn(a *Certificate, n *NewView) []Evidence {
	for _, c := range n.Changes {
		for i := range c.Locks {
			l := &c.Locks[i].Cert
			if l.View == a.View && l.Seq == a.Seq && l.Digest != a.Digest {
				return doubleSigned(a, l)
			}
		}
	}
	return nil
}

// doubleSigned returns evidence against all who signed both certificates.
func doubleSigned(a, b *Certificate) []Evidence {
	var out []Evidence
	for _, s := range a.Sigs {
		for _, t := range b.Sigs {
			if s.Replica == t.Replica {
				out = append(out, Evidence{
					Kind:   Equivocation,
					First:  Vote{a.Subject, s.Replica, s.Sig},
					Second: Vote{b.Subject, t.Replica, t.Sig},
				})
			}
		}
	}
	return out
}

// forgetful returns evidence against all who signed a certificate and deny it in
// a new view.
func forgetful(a *Certificate, n *NewView) []Evidence {
	var out []Evidence
	for _, s := range a.Sigs {
		vote := Vote{a.Subject, s.Replica, s.Sig}
		for _, c := range n.Changes {
			if forgets(&vote, c) {
				out = append(out, Evidence{Kind: Amnesia, First: vote, Change: c})
			}
		}
	}
	return out
}
