package state

import (
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

// Candidate is a change that validators have voted for and that has not taken effect.
type Candidate struct {
	Change tx.Op           // a [tx.ValidatorAdd], [tx.ValidatorRemove] or [tx.ParamsSet]
	Voters []sig.PublicKey // in the set's order
}

// Candidates returns the open votes by change, in the order of the validators who
// voted for them. A change takes effect when as many have voted for it as the
// quorum of the committee is.
func (s State) Candidates() ([]Candidate, error) {
	set, err := s.Validators()
	if err != nil {
		return nil, err
	}
	var out []Candidate
	at := make(map[tx.Op]int)
	for _, voter := range set {
		open, err := votesOf(s.entries, voter)
		if err != nil {
			return nil, err
		}
		for _, change := range open {
			i, ok := at[change]
			if !ok {
				i = len(out)
				at[change] = i
				out = append(out, Candidate{Change: change})
			}
			out[i].Voters = append(out[i].Voters, voter)
		}
	}
	return out, nil
}

// Standing is how a change stands with the validators.
type Standing struct {
	// InEffect reports whether what the change asks for is so: it has taken effect, or
	// there was nothing to do.
	InEffect bool
	Votes    int // open votes for exactly this change
	Needed   int // votes with which it takes effect: the committee's quorum
}

// Missing returns how many votes more make the change take effect.
func (s Standing) Missing() int {
	if s.InEffect {
		return 0
	}
	return s.Needed - s.Votes
}

// Standing returns how a change stands: a [tx.ValidatorAdd], [tx.ValidatorRemove] or
// [tx.ParamsSet]. For any other operation, and for a change that nobody has voted for,
// it has no votes.
func (s State) Standing(change tx.Op) (Standing, error) {
	set, err := s.Validators()
	if err != nil {
		return Standing{}, err
	}
	committee, err := set.Committee()
	if err != nil {
		return Standing{}, err
	}
	out := Standing{Needed: committee.Quorum()}
	if out.InEffect, err = s.inEffect(change, set); err != nil {
		return Standing{}, err
	}
	for _, voter := range set {
		open, err := votesOf(s.entries, voter)
		if err != nil {
			return Standing{}, err
		}
		if open.has(change) {
			out.Votes++
		}
	}
	return out, nil
}

func (s State) inEffect(change tx.Op, set genesis.ValidatorSet) (bool, error) {
	has := func(key sig.PublicKey) bool { _, ok := set.Replica(key); return ok }
	switch c := change.(type) {
	case tx.ValidatorAdd:
		// Of a renewal nothing is left to be seen but that its key is a validator's.
		return has(c.Key) && (c.Renews() || !has(c.Replaces)), nil
	case tx.ValidatorRemove:
		return !has(c.Key), nil
	case tx.ParamsSet:
		v, ok, err := s.Param(c.Name)
		return ok && v == c.Value, err
	}
	return false, nil
}
