package state_test

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
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
	if s.First != keys[1] || s.Origin != first.Origin || s.Registrations != 2 {
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
	if s.First != keys[1] || s.Registrations != 1 {
		t.Errorf("snapshot after the first owner retired it: %+v", s)
	}
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

func TestNames(t *testing.T) {
	w := newWorld(t, genesisState(t, 1, func(p *genesis.Params) { p.MaxNamesPerOwner, p.MaxRecordsPerOwner = 2, 2 }))
	w.ok(1, tx.NameClaim{Name: "a", Target: "one"})
	claimed := found(w.state.Name("a"))(t)
	w.refused(2, tx.NameClaim{Name: "a"}, tx.CodeNameTaken)
	w.ok(1, tx.NameClaim{Name: "a", Target: "two"})
	if n := found(w.state.Name("a"))(t); n.Target != "two" || n.Holder != keys[1] || n.Origin != claimed.Origin {
		t.Errorf("name %+v", n)
	}
	w.ok(1, tx.NameClaim{Name: "b"})
	w.refused(1, tx.NameClaim{Name: "c"}, tx.CodeLimitExceeded)

	w.refused(2, tx.NameTransfer{Name: "a", To: keys[2]}, tx.CodeNotOwner)
	w.refused(2, tx.NameTransfer{Name: "z", To: keys[2]}, tx.CodeNotFound)
	w.refused(1, tx.NameTransfer{Name: "a", To: keys[1]}, tx.CodeNotAllowed)
	w.ok(1, tx.RecordPut{Namespace: "a", Key: "k", Value: []byte("v")})
	w.ok(1, tx.NameTransfer{Name: "a", To: keys[2]})
	n := found(w.state.Name("a"))(t)
	if n.Holder != keys[2] || n.Target != "two" || n.Records != 1 || n.Seq != w.seq {
		t.Errorf("transferred %+v", n)
	}
	from, to := must(w.state.Account(keys[1]))(t), must(w.state.Account(keys[2]))(t)
	if from.Names != 1 || from.Records != 0 || to.Names != 1 || to.Records != 1 || to.Nonces.Next() != 0 {
		t.Errorf("accounts %+v, %+v", from, to)
	}
	w.refused(1, tx.NameTransfer{Name: "a", To: keys[2]}, tx.CodeNotOwner)

	// The new holder must have room, for the name and for its records.
	w.ok(1, tx.RecordPut{Namespace: "b", Key: "k", Value: []byte("v")})
	w.ok(2, tx.RecordPut{Key: "k", Value: []byte("v")})
	w.refused(1, tx.NameTransfer{Name: "b", To: keys[2]}, tx.CodeLimitExceeded)
	w.ok(1, tx.RecordPut{Namespace: "b", Key: "k"})
	w.ok(1, tx.NameTransfer{Name: "b", To: keys[2]})
	w.ok(1, tx.NameClaim{Name: "c"})
	w.refused(1, tx.NameTransfer{Name: "c", To: keys[2]}, tx.CodeLimitExceeded)
}

func TestRecords(t *testing.T) {
	w := newWorld(t, genesisState(t, 1, func(p *genesis.Params) { p.MaxRecordsPerOwner = 2 }))
	w.ok(1, tx.NameClaim{Name: "n"})
	w.refused(1, tx.RecordPut{Namespace: "m", Key: "k", Value: []byte("v")}, tx.CodeNotFound)
	w.refused(2, tx.RecordPut{Namespace: "n", Key: "k", Value: []byte("v")}, tx.CodeNotOwner)
	w.refused(1, tx.RecordPut{Key: "k"}, tx.CodeNotFound)

	w.ok(1, tx.RecordPut{Key: "k", Value: []byte("own")})
	w.ok(2, tx.RecordPut{Key: "k", Value: []byte("other")})
	w.ok(1, tx.RecordPut{Namespace: "n", Key: "k", Value: []byte("name's")})
	for _, c := range []struct {
		namespace string
		owner     int
		want      string
	}{{"", 1, "own"}, {"", 2, "other"}, {"n", 1, "name's"}, {"n", 2, "name's"}} {
		if r := found(w.state.Record(c.namespace, "k", keys[c.owner]))(t); string(r.Value) != c.want {
			t.Errorf("record %q of %d: %q, want %q", c.namespace, c.owner, r.Value, c.want)
		}
	}
	if _, ok, err := w.state.Record(strings.Repeat("n", 300), "k", keys[1]); ok || err != nil {
		t.Errorf("a namespace that no name is: %v", err)
	}

	w.refused(1, tx.RecordPut{Key: "l", Value: []byte("v")}, tx.CodeLimitExceeded)
	w.ok(1, tx.RecordPut{Key: "k", Value: bytes.Repeat([]byte("x"), tx.MaxValue)})
	w.ok(1, tx.RecordPut{Key: "k"})
	if _, ok, err := w.state.Record("", "k", keys[1]); ok || err != nil {
		t.Errorf("a record that was taken back is there: %v", err)
	}
	w.ok(1, tx.RecordPut{Key: "l", Value: []byte("v")})
	w.ok(1, tx.RecordPut{Namespace: "n", Key: "k"})
	a, n := must(w.state.Account(keys[1]))(t), found(w.state.Name("n"))(t)
	if a.Records != 1 || n.Records != 0 {
		t.Errorf("account %+v, name %+v", a, n)
	}
}

func TestNonces(t *testing.T) {
	s := genesisState(t, 1, func(p *genesis.Params) { p.NonceWindow = 20 })
	b := s.Begin(1, 0)
	i := 0
	for _, step := range []struct {
		nonce uint64
		want  tx.Code
		next  uint64
	}{
		{20, tx.CodeNonceTooFar, 0},
		{1<<63 - 1, tx.CodeNonceTooFar, 0},
		{19, tx.CodeOK, 0},
		{19, tx.CodeNonceUsed, 0},
		{1, tx.CodeOK, 0},
		{0, tx.CodeOK, 2},
		{0, tx.CodeNonceUsed, 2},
		{1, tx.CodeNonceUsed, 2},
		{21, tx.CodeOK, 2},
		{22, tx.CodeNonceTooFar, 2},
		{3, tx.CodeOK, 2},
		{4, tx.CodeOK, 2},
		{5, tx.CodeOK, 2},
		{6, tx.CodeOK, 2},
		{7, tx.CodeOK, 2},
		{8, tx.CodeOK, 2},
		{9, tx.CodeOK, 2},
		{10, tx.CodeOK, 2},
		{11, tx.CodeOK, 2},
		{12, tx.CodeOK, 2},
		{13, tx.CodeOK, 2},
		{2, tx.CodeOK, 14},
		{14, tx.CodeOK, 15},
		{15, tx.CodeOK, 16},
		{16, tx.CodeOK, 17},
		{17, tx.CodeOK, 18},
		{18, tx.CodeOK, 20},
		{19, tx.CodeNonceUsed, 20},
		{20, tx.CodeOK, 22},
		{22, tx.CodeOK, 23},
	} {
		i++
		err := b.Apply(transaction(t, keys[1], step.nonce, tx.NameClaim{Name: "n", Target: strconv.Itoa(i)}))
		if code, ok := tx.CodeOf(err); !ok || code != step.want {
			t.Errorf("step %d: nonce %d: %v, want %v", i, step.nonce, err, step.want)
		}
		after, _, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if next := must(after.NextNonce(keys[1]))(t); next != step.next {
			t.Fatalf("step %d: next nonce %d, want %d", i, next, step.next)
		}
	}
}

// A block takes what the parameters allow, counted as a body is.
func TestBlockIsFull(t *testing.T) {
	s := genesisState(t, 1, func(p *genesis.Params) { p.MaxBlockTransactions = 3; p.MaxBlockBytes = 128 << 10 })
	b := s.Begin(1, 0)
	for i := range 4 {
		err := b.Apply(transaction(t, keys[1], uint64(i), tx.RecordPut{Key: "k", Value: []byte("v")}))
		if want := i == 3; errors.Is(err, state.ErrFull) != want {
			t.Errorf("transaction %d: %v", i, err)
		}
	}
	b = s.Begin(1, 0)
	var body tx.Batch
	for i := range 2 {
		op := tx.RecordPut{Key: "k", Value: make([]byte, tx.MaxValue-200)}
		body = append(body, transaction(t, keys[1], uint64(i), op))
		if err := b.Apply(body[i]); err != nil {
			t.Fatal(err)
		}
	}
	op := tx.RecordPut{Key: "k", Value: make([]byte, 1)}
	for ; body.Size() <= 128<<10; body[2] = transaction(t, keys[1], 2, op) {
		op.Value = make([]byte, len(op.Value)+1)
		body = append(body[:2], transaction(t, keys[1], 2, op))
	}
	if err := b.Apply(body[2]); !errors.Is(err, state.ErrFull) {
		t.Errorf("a body of %d bytes: %v", body.Size(), err)
	}
}

// What a transaction was decoded from may be used for something else afterwards.
func TestApplyKeepsNothing(t *testing.T) {
	s := genesisState(t, 1)
	raw := bytes.Clone(transaction(t, keys[1], 0, tx.RecordPut{Key: "k", Value: []byte("value")}).Raw())
	b := s.Begin(1, 0)
	if err := b.Apply(must(tx.Decode(raw))(t)); err != nil {
		t.Fatal(err)
	}
	clear(raw)
	s, _, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if r := found(s.Record("", "k", keys[1]))(t); string(r.Value) != "value" {
		t.Errorf("record %q", r.Value)
	}
}
