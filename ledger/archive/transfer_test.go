package archive_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/smt"
)

// source is a world with the state to transfer, and the blocks after it.
func source(t *testing.T, blocks int) (e archive.Entry, transitions []receipt.Transition, after *world) {
	t.Helper()
	w := newWorld(smt.Map{})
	for _, e = range w.blocks(t, blocks+1) {
		if e.Decision.Header.Last() {
			d := e.Decision
			transitions = append(transitions, receipt.Transition{Header: d.Header, Cert: d.Cert, Validators: e.Validators})
		}
	}
	return e, transitions, w
}

// send adds at most n small chunks, and reports whether none is missing.
func send(t *testing.T, tr *archive.Transfer, from smt.Map, n int) bool {
	t.Helper()
	for range n {
		next, more := tr.Next()
		if !more {
			return true
		}
		c, err := from.Chunk(next, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	_, more := tr.Next()
	return !more
}

func begin(t *testing.T, a *archive.Archive, e archive.Entry) *archive.Transfer {
	t.Helper()
	tr, err := a.Transfer(e.Decision)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestTransfer(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			e, transitions, w := source(t, 25)
			a := open(t, on)
			mustAppend(t, a, newWorld(state(t, a)).blocks(t, 8)...)

			send(t, begin(t, a, e), e.State, 3)
			verify(t, a, 7) // what there was is as before
			closed(t, a)
			a = open(t, on)
			old := state(t, a)
			verify(t, a, 7)
			tr := begin(t, a, e)
			if next, _ := tr.Next(); next == (smt.Digest{}) {
				t.Error("the transfer began again from nothing")
			}
			if err := tr.Install(transitions); !errors.Is(err, smt.ErrIncomplete) {
				t.Errorf("chunks are missing: %v", err)
			}
			if !send(t, tr, e.State, 1000) {
				t.Fatal("chunks are missing")
			}
			if err := tr.Install(transitions[1:]); !errors.Is(err, archive.ErrOrder) {
				t.Errorf("a transition is missing: %v", err)
			}
			if err := tr.Install(transitions); err != nil {
				t.Fatal(err)
			}
			if _, _, err := old.Get([]byte("0/0")); !errors.Is(err, archive.ErrPruned) {
				t.Errorf("a map of what there was: %v", err)
			}
			for range 2 {
				checkInstalled(t, a, e, transitions)
				closed(t, a)
				a = open(t, on)
			}
			w.state = state(t, a)
			more := w.blocks(t, 10)
			mustAppend(t, a, more...)
			check(t, a)
			if seq, i, err := a.Find(more[4].IDs[2]); seq != 30 || i != 2 || err != nil {
				t.Errorf("a transaction after the transfer is at %d of %d, %v", i, seq, err)
			}
			closed(t, a)
		})
	}
}

func checkInstalled(t *testing.T, a *archive.Archive, e archive.Entry, transitions []receipt.Transition) {
	t.Helper()
	head := e.Decision.Header.Seq
	if seq, ok := a.Head(); !ok || seq != head || a.Earliest() != head+1 {
		t.Errorf("head %d, %t, earliest %d", seq, ok, a.Earliest())
	}
	equalState(t, state(t, a), e.State)
	if _, err := a.Body(head); !errors.Is(err, archive.ErrPruned) {
		t.Errorf("the body of the checkpoint: %v", err)
	}
	if _, err := a.Decision(7); !errors.Is(err, archive.ErrPruned) {
		t.Errorf("a decision of before: %v", err)
	}
	var got []uint64
	for tr, err := range a.Transitions(0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, tr.Header.Seq)
	}
	if !slices.Equal(got, []uint64{10, 20}) || len(transitions) != 2 {
		t.Errorf("transitions at %d", got)
	}
	check(t, a)
}

func TestTransferToAnotherBlock(t *testing.T) {
	e, _, _ := source(t, 9)
	later, transitions, _ := source(t, 15)
	a := open(t, inMemory())
	defer closed(t, a)
	send(t, begin(t, a, e), e.State, 2)
	tr := begin(t, a, later)
	if next, _ := tr.Next(); next != (smt.Digest{}) {
		t.Error("the transfer goes on with another state")
	}
	if err := tr.Add(smt.Chunk{}); !errors.Is(err, smt.ErrProof) {
		t.Errorf("no chunk of the state: %v", err)
	}
	if !send(t, tr, later.State, 1000) {
		t.Fatal("chunks are missing")
	}
	if err := tr.Install(transitions); err != nil {
		t.Fatal(err)
	}
	check(t, a)
	if _, err := a.Transfer(e.Decision); !errors.Is(err, archive.ErrOrder) {
		t.Errorf("a transfer to a block that is behind: %v", err)
	}
}
