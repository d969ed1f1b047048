package state

import (
	"time"

	"github.com/decube/decube/ledger/tx"
)

// millis is how many milliseconds a second has.
const millis = 1000

func (s *step) register(op tx.SnapshotRegister) error {
	key := RegistrationKey(op.Root, s.tx.Owner)
	old, ok, err := read(s.block, key, ParseRegistration)
	if err != nil {
		return err
	}
	if ok {
		if err := extends(&old, &op); err != nil {
			return err
		}
		old.RetainUntil = op.RetainUntil
		s.put(key, old.AppendTo(nil))
		return nil
	}
	if err := room("registered snapshots", s.account.Snapshots, 1, s.params.MaxSnapshotsPerOwner); err != nil {
		return err
	}
	snapshot, ok, err := read(s.block, SnapshotKey(op.Root), ParseSnapshot)
	if err != nil {
		return err
	}
	if !ok {
		snapshot = Snapshot{First: s.tx.Owner, Origin: s.origin()}
	}
	snapshot.Registrations++
	s.account.Snapshots++
	s.put(SnapshotKey(op.Root), snapshot.AppendTo(nil))
	s.put(key, Registration{
		Origin:      s.origin(),
		Size:        op.Size,
		RetainUntil: op.RetainUntil,
		Label:       op.Label,
	}.AppendTo(nil))
	return nil
}

// extends returns a *Rejection unless an operation extends a registration.
func extends(old *Registration, op *tx.SnapshotRegister) error {
	switch {
	case op.RetainUntil < old.RetainUntil:
		return tx.Reject(tx.CodeNotAllowed, "the promise to retain it until %s cannot be shortened", date(old.RetainUntil))
	case op.RetainUntil == old.RetainUntil:
		return tx.Reject(tx.CodeAlreadyRegistered, "in block %d", old.Seq)
	case op.Size != old.Size || op.Label != old.Label:
		return tx.Reject(tx.CodeNotAllowed, "it was registered with size %d and label %q, which an extension of the promise must state as well", old.Size, old.Label)
	}
	return nil
}

func (s *step) retire(op tx.SnapshotRetire) error {
	key := RegistrationKey(op.Root, s.tx.Owner)
	old, ok, err := read(s.block, key, ParseRegistration)
	if err != nil {
		return err
	}
	snapshot, known, err := read(s.block, SnapshotKey(op.Root), ParseSnapshot)
	if err != nil {
		return err
	}
	switch {
	case !known:
		return tx.Reject(tx.CodeNotFound, "nobody has registered %s", op.Root)
	case !ok:
		return tx.Reject(tx.CodeNotOwner, "%s is registered by others only", op.Root)
	case s.block.time/millis < old.RetainUntil:
		return tx.Reject(tx.CodeNotAllowed, "the owner promised to retain it until %s", date(old.RetainUntil))
	}
	s.drop(key)
	s.account.Snapshots--
	if snapshot.Registrations--; snapshot.Registrations == 0 {
		s.drop(SnapshotKey(op.Root))
	} else {
		s.put(SnapshotKey(op.Root), snapshot.AppendTo(nil))
	}
	return nil
}

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
	name.Target = op.Target
	s.put(key, name.AppendTo(nil))
	return nil
}

func (s *step) transfer(op tx.NameTransfer) error {
	name, err := s.held(op.Name)
	if err != nil {
		return err
	}
	if op.To == s.tx.Owner {
		return tx.Reject(tx.CodeNotAllowed, "%s is the owner's already", op.Name)
	}
	to, err := accountOf(s.block, op.To)
	if err != nil {
		return err
	}
	if err := room("names of the new holder", to.Names, 1, s.params.MaxNamesPerOwner); err != nil {
		return err
	}
	if err := room("records of the new holder", to.Records, name.Records, s.params.MaxRecordsPerOwner); err != nil {
		return err
	}
	s.account.Names--
	s.account.Records -= name.Records
	to.Names++
	to.Records += name.Records
	s.put(AccountKey(op.To), to.AppendTo(nil))
	name.Holder, name.Origin = op.To, s.origin()
	s.put(NameKey(op.Name), name.AppendTo(nil))
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
		s.put(key, Record{Origin: s.origin(), Value: op.Value}.AppendTo(nil))
	}
	if op.Namespace != "" && name.Records != before {
		s.put(NameKey(op.Namespace), name.AppendTo(nil))
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

// date returns a time for people.
func date(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
