package state_test

import (
	"testing"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

func TestSnapshots(t *testing.T) {
	w := newWorld(t, genesisState(t, 1, func(p *genesis.Params) { p.MaxSnapshotsPerOwner = 2 }))
	register := func(i int, until int64) tx.Op {
		return tx.SnapshotRegister{Root: root(i), Size: 7, Label: "l", RetainUntil: until}
	}
	w.ok(1, register(0, created+10))
	first := found(w.state.Registration(root(0), keys[1]))(t)
	if first.Size != 7 || first.Label != "l" || first.RetainUntil != created+10 || first.Seq != 1 || first.Time != created*1000+999 {
		t.Errorf("registration %+v", first)
	}

	// Again only to extend the promise.
	w.refused(1, register(0, created+10), tx.CodeAlreadyRegistered)
	w.refused(1, register(0, created+9), tx.CodeNotAllowed)
	w.refused(1, register(0, 0), tx.CodeNotAllowed)
	w.refused(1, tx.SnapshotRegister{Root: root(0), Size: 8, Label: "l", RetainUntil: created + 20}, tx.CodeNotAllowed)
	w.refused(1, tx.SnapshotRegister{Root: root(0), Size: 7, Label: "m", RetainUntil: created + 20}, tx.CodeNotAllowed)
	w.ok(1, register(0, created+20))
	extended := found(w.state.Registration(root(0), keys[1]))(t)
	if extended.RetainUntil != created+20 || extended.Origin != first.Origin {
		t.Errorf("extended %+v", extended)
	}

	// Another owner's registration is another, and the first stays on record.
	w.ok(2, register(0, 0))
	s := found(w.state.Snapshot(root(0)))(t)
	if s.First != keys[1] || s.Origin != first.Origin || s.Registrations() != 2 {
		t.Errorf("snapshot %+v", s)
	}

	// The promise is kept to the second.
	w.refused(1, tx.SnapshotRetire{Root: root(1)}, tx.CodeNotFound)
	w.refused(3, tx.SnapshotRetire{Root: root(0)}, tx.CodeNotOwner)
	w.now = created + 19
	w.refused(1, tx.SnapshotRetire{Root: root(0)}, tx.CodeNotAllowed)
	w.now = created + 20
	w.ok(1, tx.SnapshotRetire{Root: root(0)})
	w.refused(1, tx.SnapshotRetire{Root: root(0)}, tx.CodeNotOwner)
	s = found(w.state.Snapshot(root(0)))(t)
	if s.First != keys[1] || s.Registrations() != 1 {
		t.Errorf("snapshot after the first owner retired it: %+v", s)
	}

	// The first owner may register it again, and is still the first.
	w.ok(1, register(0, created+30))
	if r := found(w.state.Registration(root(0), keys[1]))(t); r.Seq != w.seq || r.RetainUntil != created+30 {
		t.Errorf("registered again: %+v", r)
	}
	if s := found(w.state.Snapshot(root(0)))(t); s.First != keys[1] || s.Origin != first.Origin || s.Registrations() != 2 {
		t.Errorf("snapshot that the first owner registered again: %+v", s)
	}
	w.ok(2, register(0, created+5))
	if r := found(w.state.Registration(root(0), keys[2]))(t); r.RetainUntil != created+5 {
		t.Errorf("another owner's extended: %+v", r)
	}
	w.now = created + 30
	w.ok(1, tx.SnapshotRetire{Root: root(0)})
	w.ok(2, tx.SnapshotRetire{Root: root(0)})
	if _, ok, err := w.state.Snapshot(root(0)); ok || err != nil {
		t.Errorf("a snapshot that nobody has registered is known: %v", err)
	}
	w.refused(1, tx.SnapshotRetire{Root: root(0)}, tx.CodeNotFound)

	// A retired one may be registered again, with another size; the limit counts what is held.
	w.ok(2, tx.SnapshotRegister{Root: root(0), Size: 9})
	if s := found(w.state.Snapshot(root(0)))(t); s.First != keys[2] {
		t.Errorf("snapshot that was retired by all: %+v", s)
	}
	w.ok(2, register(1, 0))
	w.refused(2, register(2, 0), tx.CodeLimitExceeded)
	w.ok(2, tx.SnapshotRetire{Root: root(1)})
	w.ok(2, register(2, 0))
	if a := must(w.state.Account(keys[2]))(t); a.Snapshots != 2 {
		t.Errorf("account %+v", a)
	}
}
