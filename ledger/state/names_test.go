package state_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

func TestNames(t *testing.T) {
	w := newWorld(t, genesisState(t, 1, func(p *genesis.Params) { p.MaxNamesPerOwner, p.MaxRecordsPerOwner = 2, 2 }))
	w.ok(1, tx.NameClaim{Name: "a", Target: "one"})
	claimed := found(w.state.Name("a"))(t)
	w.refused(2, tx.NameClaim{Name: "a"}, tx.CodeNameTaken)
	w.ok(1, tx.NameClaim{Name: "a", Target: "two"})
	if n := found(w.state.Name("a"))(t); n.Target != "two" || n.Holder != keys[1] || n.Origin != claimed.Origin {
		t.Errorf("name %+v", n)
	}
	w.ok(1, tx.NameClaim{Name: "a"})
	if n := found(w.state.Name("a"))(t); n.Target != "two" {
		t.Errorf("a claim without a target has taken the name's away: %+v", n)
	}
	w.ok(1, tx.NameClaim{Name: "b"})
	w.refused(1, tx.NameClaim{Name: "c"}, tx.CodeLimitExceeded)
}

// A name is its new holder's when the new holder accepts it, with what it has in its
// namespace then.
func TestNameIsOfferedAndAccepted(t *testing.T) {
	w := newWorld(t, genesisState(t, 1, func(p *genesis.Params) { p.MaxNamesPerOwner, p.MaxRecordsPerOwner = 2, 2 }))
	offer := func(i int) tx.Op { return tx.NameTransfer{Name: "a", To: keys[i]} }
	accept := tx.NameAccept{Name: "a", Records: 2}
	w.ok(1, tx.NameClaim{Name: "a", Target: "two"})
	w.refused(2, offer(2), tx.CodeNotOwner)
	w.refused(2, tx.NameTransfer{Name: "z", To: keys[2]}, tx.CodeNotFound)
	w.refused(2, tx.NameAccept{Name: "z"}, tx.CodeNotFound)
	w.refused(2, accept, tx.CodeNotAllowed)
	w.refused(1, accept, tx.CodeNotAllowed)
	w.ok(1, tx.RecordPut{Namespace: "a", Key: "k", Value: []byte("v")})

	w.ok(1, offer(3))
	w.ok(1, offer(2)) // instead
	w.refused(3, accept, tx.CodeNotAllowed)
	if n := found(w.state.Name("a"))(t); n.Holder != keys[1] || n.Offered != keys[2] {
		t.Errorf("offered %+v", n)
	}
	if to := must(w.state.Account(keys[2]))(t); to.Names != 0 || to.Records != 0 {
		t.Errorf("an offer counts for whom it is made to: %+v", to)
	}
	// The holder goes on with it, and the offer stands.
	w.ok(1, tx.NameClaim{Name: "a", Target: "three"})
	w.ok(2, accept)
	n := found(w.state.Name("a"))(t)
	if n.Holder != keys[2] || n.Target != "three" || n.Records != 1 || n.Seq != w.seq || n.Offered != (sig.PublicKey{}) {
		t.Errorf("accepted %+v", n)
	}
	from, to := must(w.state.Account(keys[1]))(t), must(w.state.Account(keys[2]))(t)
	if from.Names != 0 || from.Records != 0 || to.Names != 1 || to.Records != 1 {
		t.Errorf("accounts %+v, %+v", from, to)
	}
	w.refused(1, offer(2), tx.CodeNotOwner)
	w.refused(2, accept, tx.CodeNotAllowed)
	w.refused(3, accept, tx.CodeNotAllowed)
}

func TestOfferIsTakenBack(t *testing.T) {
	w := newWorld(t, genesisState(t, 1))
	w.ok(1, tx.NameClaim{Name: "a"})
	before := found(w.state.Name("a"))(t)
	for _, to := range []sig.PublicKey{{}, keys[1]} {
		w.refused(1, tx.NameTransfer{Name: "a", To: to}, tx.CodeNotFound)
		w.ok(1, tx.NameTransfer{Name: "a", To: keys[2]})
		w.refused(2, tx.NameTransfer{Name: "a", To: to}, tx.CodeNotOwner)
		w.ok(1, tx.NameTransfer{Name: "a", To: to})
		w.refused(2, tx.NameAccept{Name: "a"}, tx.CodeNotAllowed)
		if n := found(w.state.Name("a"))(t); n != before {
			t.Errorf("name %+v, want %+v", n, before)
		}
	}
}

// Nothing is pushed into another's quota: the new holder must have room, for the name
// and for its records, and says how many records are welcome.
func TestAcceptingNeedsRoom(t *testing.T) {
	w := newWorld(t, genesisState(t, 1, func(p *genesis.Params) { p.MaxNamesPerOwner, p.MaxRecordsPerOwner = 2, 3 }))
	for i, name := range []string{"a", "b"} {
		w.ok(1, tx.NameClaim{Name: name})
		w.ok(1, tx.NameTransfer{Name: name, To: keys[2]})
		if i == 0 {
			w.ok(1, tx.RecordPut{Namespace: "a", Key: "k", Value: []byte("v")})
		}
	}
	// The giver writes another record while the acceptance is on its way.
	w.ok(1, tx.RecordPut{Namespace: "a", Key: "l", Value: []byte("v")})
	w.refused(2, tx.NameAccept{Name: "a", Records: 1}, tx.CodeNotAllowed)
	w.ok(2, tx.RecordPut{Key: "k", Value: []byte("v")})
	w.ok(2, tx.RecordPut{Key: "l", Value: []byte("v")})
	w.refused(2, tx.NameAccept{Name: "a", Records: 9}, tx.CodeLimitExceeded)
	w.ok(2, tx.RecordPut{Key: "k"})
	w.ok(2, tx.NameAccept{Name: "a", Records: 2})
	w.ok(2, tx.NameClaim{Name: "c"})
	w.refused(2, tx.NameAccept{Name: "b"}, tx.CodeLimitExceeded)
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
