package state

import (
	"time"

	"github.com/decube/decube/ledger/tx"
)

// millis is how many milliseconds a second has.
const millis = 1000

// registration is an owner's registration of a root, or that there is none, and the
// root's snapshot, which has it when the owner is the first.
type registration struct {
	root     tx.CID
	known    bool // somebody has it registered
	snapshot Snapshot
	held     bool // the owner has
	terms    Registration
}

// registration reads the owner's registration of a root.
func (s *step) registration(root tx.CID) (registration, error) {
	r := registration{root: root}
	var err error
	if r.snapshot, r.known, err = read(s.block, SnapshotKey(root), ParseSnapshot); err != nil || !r.known {
		return r, err
	}
	if r.snapshot.First == s.tx.Owner {
		r.held, r.terms = r.snapshot.Held, r.snapshot.Registration
		return r, nil
	}
	r.terms, r.held, err = read(s.block, RegistrationKey(root, s.tx.Owner), ParseRegistration)
	return r, err
}

// hold makes the owner's registration what it says.
func (s *step) hold(r *registration, terms Registration) {
	if !r.known {
		r.snapshot.First, r.snapshot.Origin = s.tx.Owner, terms.Origin
	}
	if r.snapshot.First == s.tx.Owner {
		r.snapshot.Held, r.snapshot.Registration = true, terms
	} else {
		putEntry(s, RegistrationKey(r.root, s.tx.Owner), terms)
		if r.held {
			return
		}
		r.snapshot.Others++
	}
	putEntry(s, SnapshotKey(r.root), r.snapshot)
}

// release takes the owner's registration back, which there is.
func (s *step) release(r *registration) {
	if r.snapshot.First == s.tx.Owner {
		r.snapshot.Held, r.snapshot.Registration = false, Registration{}
	} else {
		r.snapshot.Others--
		s.drop(RegistrationKey(r.root, s.tx.Owner))
	}
	if r.snapshot.Registrations() == 0 {
		s.drop(SnapshotKey(r.root))
		return
	}
	putEntry(s, SnapshotKey(r.root), r.snapshot)
}

func (s *step) register(op tx.SnapshotRegister) error {
	r, err := s.registration(op.Root)
	if err != nil {
		return err
	}
	terms := Registration{Origin: s.origin(), Size: op.Size, RetainUntil: op.RetainUntil, Label: op.Label}
	if r.held {
		if err := extends(&r.terms, &op); err != nil {
			return err
		}
		terms.Origin = r.terms.Origin
	} else {
		if err := room("registered snapshots", s.account.Snapshots, 1, s.params.MaxSnapshotsPerOwner); err != nil {
			return err
		}
		s.account.Snapshots++
	}
	s.hold(&r, terms)
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
	r, err := s.registration(op.Root)
	switch {
	case err != nil:
		return err
	case !r.known:
		return tx.Reject(tx.CodeNotFound, "nobody has registered %s", op.Root)
	case !r.held:
		return tx.Reject(tx.CodeNotOwner, "%s is registered by others only", op.Root)
	case s.block.time/millis < r.terms.RetainUntil:
		return tx.Reject(tx.CodeNotAllowed, "the owner promised to retain it until %s", date(r.terms.RetainUntil))
	}
	s.account.Snapshots--
	s.release(&r)
	return nil
}

// date returns a time for people.
func date(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
