package state

import (
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// vote counts a validator's vote for a change, which takes effect when a quorum has
// voted for it, or when the validator may make it alone.
func (s *step) vote(change tx.Op) error {
	set, err := s.block.validators()
	if err != nil {
		return err
	}
	voter := s.tx.Owner
	if _, ok := set.Replica(voter); !ok {
		return tx.Reject(tx.CodeNotValidator, "%s has no vote", voter)
	}
	open, err := votesOf(s.block, voter)
	if err != nil {
		return err
	}
	next, err := s.effect(change, set)
	if err != nil {
		if rest, ok := open.without(change); ok && s.settled(change, set) {
			s.putVotes(voter, rest)
			return nil
		}
		return err
	}
	alone, err := s.alone(change, set)
	if err != nil {
		return err
	}
	if !alone {
		if open = open.with(change); len(open) > MaxVotes {
			return tx.Reject(tx.CodeLimitExceeded, "open votes of a validator: %d, at most %d", len(open), MaxVotes)
		}
		agreed, err := s.agreed(change, set)
		if err != nil {
			return err
		}
		if !agreed {
			s.putVotes(voter, open)
			return nil
		}
	}
	return s.enact(change, set, next, open)
}

// outcome is what the validators and the parameters are after a change.
type outcome struct {
	set    genesis.ValidatorSet
	params genesis.Params
}

// effect returns what a change would lead to, or a *Rejection when it is not possible.
func (s *step) effect(change tx.Op, set genesis.ValidatorSet) (outcome, error) {
	return outcome{set, s.params}.after(change)
}

// after returns what a change makes of an outcome, or a *Rejection. The validators
// that there would be must be able to change their leader: see [genesis.Params.Fit].
func (o outcome) after(change tx.Op) (outcome, error) {
	var err error
	switch c := change.(type) {
	case tx.ValidatorAdd:
		o.set, err = withValidator(o.set, c)
	case tx.ValidatorRemove:
		o.set, err = withoutValidator(o.set, c.Key)
	case tx.ParamsSet:
		o.params, err = withParam(o.params, c)
	}
	if err != nil {
		return o, err
	}
	if err := o.params.Fit(len(o.set)); err != nil {
		return o, tx.Reject(tx.CodeLimitExceeded, "%v", err)
	}
	return o, nil
}

// withValidator returns the set with one more key, last or in another's place, or a
// *Rejection.
func withValidator(set genesis.ValidatorSet, c tx.ValidatorAdd) (genesis.ValidatorSet, error) {
	switch _, ok := set.Replica(c.Key); {
	case ok && c.Renews():
		return set, nil
	case ok:
		return nil, tx.Reject(tx.CodeNotAllowed, "%s is a validator already", c.Key)
	}
	out := slices.Clone(set)
	if c.Replaces.IsZero() {
		if len(set) >= quorum.MaxReplicas {
			return nil, tx.Reject(tx.CodeLimitExceeded, "validators: %d, at most %d", len(set)+1, quorum.MaxReplicas)
		}
		return append(out, c.Key), nil
	}
	at, ok := set.Replica(c.Replaces)
	if !ok {
		return nil, tx.Reject(tx.CodeNotValidator, "%s cannot be replaced: it is no validator", c.Replaces)
	}
	out[at] = c.Key
	return out, nil
}

// withoutValidator returns the set without a key, or a *Rejection.
func withoutValidator(set genesis.ValidatorSet, key sig.PublicKey) (genesis.ValidatorSet, error) {
	at, ok := set.Replica(key)
	switch {
	case !ok:
		return nil, tx.Reject(tx.CodeNotValidator, "%s cannot be removed: it is no validator", key)
	case len(set) == 1:
		return nil, tx.Reject(tx.CodeNotAllowed, "%s is the last validator", key)
	}
	return slices.Delete(slices.Clone(set), int(at), int(at)+1), nil
}

// settled reports whether what a change asks for is so already.
func (s *step) settled(change tx.Op, set genesis.ValidatorSet) bool {
	switch c := change.(type) {
	case tx.ValidatorAdd:
		_, ok := set.Replica(c.Key)
		return ok && c.Replaces.IsZero()
	case tx.ValidatorRemove:
		_, ok := set.Replica(c.Key)
		return !ok
	case tx.ParamsSet:
		v, ok := param(s.params, c.Name)
		return ok && v == c.Value
	}
	return false
}

// alone reports whether the owner may make a change without the others, and returns
// a *Rejection for one that only another validator may make.
func (s *step) alone(change tx.Op, set genesis.ValidatorSet) (bool, error) {
	switch c := change.(type) {
	case tx.ValidatorAdd:
		if c.Renews() && c.Key != s.tx.Owner {
			return false, tx.Reject(tx.CodeNotAllowed, "only %s itself takes its place anew", c.Key)
		}
		return c.Renews(), nil
	case tx.ValidatorRemove:
		return c.Key == s.tx.Owner && faulty(len(set)-1) == faulty(len(set)), nil
	}
	return false, nil
}

// faulty returns how many of n replicas may fail.
func faulty(n int) int {
	c, err := quorum.New(n)
	if err != nil {
		return 0
	}
	return c.Faulty()
}

// agreed reports whether the owner's vote for a change makes a quorum.
func (s *step) agreed(change tx.Op, set genesis.ValidatorSet) (bool, error) {
	committee, err := set.Committee()
	if err != nil {
		return false, err
	}
	count := 1
	for _, voter := range set {
		if voter == s.tx.Owner {
			continue
		}
		open, err := votesOf(s.block, voter)
		if err != nil {
			return false, err
		}
		if open.has(change) {
			count++
		}
	}
	return count >= committee.Quorum(), nil
}

// enact makes a change. The owner's votes are given, the others' are as they were.
func (s *step) enact(change tx.Op, set genesis.ValidatorSet, next outcome, own votes) error {
	switch c := change.(type) {
	case tx.ValidatorAdd:
		if err := s.seat(c); err != nil {
			return err
		}
		s.newSet = next.set
	case tx.ValidatorRemove:
		s.drop(ValidatorKey(c.Key))
		s.newSet = next.set
	case tx.ParamsSet:
		s.newParams = &next.params
		s.put(ParamsKey(), appendParams(nil, next.params))
	}
	if s.newSet != nil {
		s.put(ValidatorsKey(), appendValidators(nil, s.newSet))
	}
	for _, voter := range set {
		open := own
		if voter != s.tx.Owner {
			var err error
			if open, err = votesOf(s.block, voter); err != nil {
				return err
			}
		}
		s.carry(voter, open, next)
	}
	return nil
}

// seat puts the entry of a validator that is new, or that takes its place anew: then
// its addresses stay unless it gives another, and one of its renewals is used.
func (s *step) seat(c tx.ValidatorAdd) error {
	v := Validator{Since: s.block.seq, By: s.tx.ID(), Renewals: fullRenewals()}
	switch {
	case c.Renews():
		old, err := need(s.block, ValidatorKey(c.Key), ParseValidator)
		if err != nil {
			return err
		}
		if v.Renewals, err = old.Renewals.use(s.block.time); err != nil {
			return err
		}
		v.Addresses = old.Addresses
	case !c.Replaces.IsZero():
		s.drop(ValidatorKey(c.Replaces))
	}
	if c.Address != "" {
		v.Addresses = []string{c.Address}
	}
	putEntry(s, ValidatorKey(c.Key), v)
	return nil
}

// carry leaves of a validator's votes what is still possible after a change.
func (s *step) carry(voter sig.PublicKey, open votes, next outcome) {
	if _, stays := next.set.Replica(voter); !stays {
		s.putVotes(voter, nil)
		s.drop(VoterGrowthKey(voter))
		return
	}
	var rest votes
	for _, change := range open {
		if _, err := next.after(change); err == nil {
			rest = append(rest, change)
		}
	}
	if !slices.Equal(rest, open) {
		s.putVotes(voter, rest)
	}
}

// putVotes puts a validator's open votes.
func (s *step) putVotes(voter sig.PublicKey, open votes) {
	if len(open) == 0 {
		s.drop(VotesKey(voter))
		return
	}
	s.put(VotesKey(voter), appendVotes(nil, open))
}
