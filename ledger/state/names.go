package state

import (
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

func (s *step) claim(op tx.NameClaim) error {
	key := NameKey(op.Name)
	name, ok, err := read(s.block, key, ParseName)
	if err != nil {
		return err
	}
	switch {
	case !ok:
		if err := room("names", s.account.Names, 1, s.params.MaxNamesPerOwner); err != nil {
			return err
		}
		name = Name{Holder: s.tx.Owner, Origin: s.origin()}
		s.account.Names++
	case name.Holder != s.tx.Owner:
		return tx.Reject(tx.CodeNameTaken, "%s is held by %s", op.Name, name.Holder)
	}
	// Without a target it says whose the name is, which may be so already, and nothing of
	// what the name stands for.
	if op.Target != "" {
		name.Target = op.Target
	}
	putEntry(s, key, name)
	return nil
}

// transfer records an offer of a name, or takes it back. Nothing of the one to whom it
// is made is looked at or changed: nobody is given what they have not asked for.
func (s *step) transfer(op tx.NameTransfer) error {
	name, err := s.held(op.Name)
	if err != nil {
		return err
	}
	to := op.To
	if to == s.tx.Owner {
		to = sig.PublicKey{} // to offer it to oneself is to keep it
	}
	if to.IsZero() && name.Offered.IsZero() {
		return tx.Reject(tx.CodeNotFound, "%s is offered to nobody", op.Name)
	}
	name.Offered = to
	putEntry(s, NameKey(op.Name), name)
	return nil
}

// accept gives a name that is offered to the owner to the owner, and what is in its
// namespace with it.
func (s *step) accept(op tx.NameAccept) error {
	name, ok, err := read(s.block, NameKey(op.Name), ParseName)
	switch {
	case err != nil:
		return err
	case !ok:
		return tx.Reject(tx.CodeNotFound, "nobody holds the name %s", op.Name)
	case name.Offered != s.tx.Owner:
		return tx.Reject(tx.CodeNotAllowed, "%s is held by %s, who does not offer it to %s", op.Name, name.Holder, s.tx.Owner)
	case name.Records > op.Records:
		return tx.Reject(tx.CodeNotAllowed, "%s has %d records, and is accepted with at most %d", op.Name, name.Records, op.Records)
	}
	if err := room("names", s.account.Names, 1, s.params.MaxNamesPerOwner); err != nil {
		return err
	}
	if err := room("records", s.account.Records, name.Records, s.params.MaxRecordsPerOwner); err != nil {
		return err
	}
	from, err := accountOf(s.block, name.Holder)
	if err != nil {
		return err
	}
	from.Names--
	from.Records -= name.Records
	putEntry(s, AccountKey(name.Holder), from)
	s.account.Names++
	s.account.Records += name.Records
	name.Holder, name.Offered, name.Origin = s.tx.Owner, sig.PublicKey{}, s.origin()
	putEntry(s, NameKey(op.Name), name)
	return nil
}

// held returns a name of the owner's, or a *Rejection.
func (s *step) held(name string) (Name, error) {
	n, ok, err := read(s.block, NameKey(name), ParseName)
	switch {
	case err != nil:
		return Name{}, err
	case !ok:
		return Name{}, tx.Reject(tx.CodeNotFound, "nobody holds the name %s", name)
	case n.Holder != s.tx.Owner:
		return Name{}, tx.Reject(tx.CodeNotOwner, "%s is held by %s", name, n.Holder)
	}
	return n, nil
}

func (s *step) record(op tx.RecordPut) error {
	var name Name
	if op.Namespace != "" {
		var err error
		if name, err = s.held(op.Namespace); err != nil {
			return err
		}
	}
	key := RecordKey(op.Namespace, op.Key, s.tx.Owner)
	_, had, err := s.block.Get(key)
	if err != nil {
		return err
	}
	before := name.Records
	switch {
	case len(op.Value) == 0 && !had:
		return tx.Reject(tx.CodeNotFound, "there is no record %q to take back", op.Key)
	case len(op.Value) == 0:
		s.account.Records--
		name.Records--
		s.drop(key)
	default:
		if !had {
			if err := room("records", s.account.Records, 1, s.params.MaxRecordsPerOwner); err != nil {
				return err
			}
			s.account.Records++
			name.Records++
		}
		putEntry(s, key, Record{Origin: s.origin(), Value: op.Value})
	}
	if op.Namespace != "" && name.Records != before {
		putEntry(s, NameKey(op.Namespace), name)
	}
	return nil
}

// room returns a *Rejection unless so many more of something stay within the limit.
// No more are always within it: the limit may have been lowered.
func room(what string, have, more, limit uint64) error {
	if more == 0 || have+more <= limit {
		return nil
	}
	return tx.Reject(tx.CodeLimitExceeded, "%s: %d, at most %d", what, have+more, limit)
}
