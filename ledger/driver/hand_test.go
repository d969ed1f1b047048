package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// Who is about to vote takes what it was handed in meanwhile for its own.
func TestClientsOfAValidatorThatStarts(t *testing.T) {
	w := newWorld(t, 4)
	w.run(100 * time.Millisecond) // they listen still
	if w.nodes[2].view.Core != nil {
		t.Fatal("a validator votes before it has listened")
	}
	w.nodes[2].submit(1, 10, 0, put(1))
	w.run(1500 * time.Millisecond)
	if a, ok := w.nodes[2].answers[1]; !ok || a.Block != 1 {
		t.Errorf("%+v, %v", a, ok)
	}
}

// unheard returns five validators, of which one's transactions do not reach the others.
func unheard(t *testing.T) (w *world, mute *node) {
	t.Helper()
	w = newWorld(t, 5)
	w.run(1100 * time.Millisecond)
	mute = w.nodes[4]
	w.lost = func(from, _ int, f codec.Frame) bool {
		_, transactions := f.(codec.Transactions)
		return from == mute.at && transactions
	}
	return w, mute
}

// remove has all others vote for a validator's removal, until it votes no more.
func (w *world) remove(n *node) {
	w.t.Helper()
	for _, other := range w.others(n) {
		other.submit(intake.Ticket(100+other.at), other.at, 0, tx.ValidatorRemove{Key: key(n.at).Public()})
	}
	w.until("it votes no more", 5*time.Second, func() bool { return n.view.Core == nil })
}

// What waits at a validator that the others never heard of does not wait there for ever
// once it has been removed from them.
func TestClientsOfAValidatorThatIsRemoved(t *testing.T) {
	w, removed := unheard(t)
	removed.submit(1, 10, 0, put(1))
	removed.submit(2, 10, 1, put(2))
	w.run(0)
	w.remove(removed)
	if len(removed.answers) > 0 {
		t.Fatalf("%+v", removed.answers)
	}
	w.orders = true
	removed.sources(0, 1)
	w.until("its clients are answered", 2*time.Second, func() bool { return len(removed.answers) == 2 })
	for ticket, a := range removed.answers {
		if a.Err != nil || a.Block == 0 {
			t.Errorf("%d: %+v", ticket, a)
		}
	}
}

// A transaction is in the pool, through another validator, while its client's own copy is
// still verified. When the pool is given up it is handed over once, and its client hears
// once that another one has its place.
func TestClientWhoIsVerifiedWhenThePoolIsGivenUp(t *testing.T) {
	w, removed := unheard(t)
	first := removed.submit(1, 10, 0, put(1))
	w.run(0)
	w.hold = func(n *node, e driver.Effect) bool {
		check, ok := e.(driver.CheckTxs)
		return n == removed && ok && len(check.Fresh) > 0 && check.Fresh[0]
	}
	removed.take(driver.Submitted{Ticket: 2, Tx: first, From: intake.Local()})
	w.remove(removed)
	for _, e := range removed.waiting {
		if check, ok := e.(driver.CheckTxs); ok {
			removed.take(driver.TxsChecked{Job: check.Job, Errs: make([]error, len(check.Txs))})
		}
	}
	removed.sources(0, 1)
	w.nodes[0].submit(9, 10, 0, put(2))
	w.run(5 * time.Second)
	for _, ticket := range []intake.Ticket{1, 2} {
		if code, _ := tx.CodeOf(removed.answers[ticket].Err); code != tx.CodeNonceUsed {
			t.Errorf("%d: %+v", ticket, removed.answers[ticket])
		}
	}
}
