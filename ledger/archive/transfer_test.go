package archive_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// source is a world with the state to transfer, and the blocks after it.
func source(t *testing.T, blocks int) (e archive.Entry, hops []receipt.Hop, after *world) {
	t.Helper()
	w := newWorld(smt.Map{})
	for _, e = range w.blocks(t, blocks+1) {
		if e.Decision.Header.Last() {
			d := e.Decision
			hops = append(hops, receipt.Hop{Header: d.Header, Cert: d.Cert, Validators: e.Validators})
		}
	}
	return e, hops, w
}

// endOf returns the last block of the epoch that hops lead to the end of.
func endOf(hops []receipt.Hop) *pbft.Decision {
	last := hops[len(hops)-1]
	return &pbft.Decision{Header: last.Header, Cert: last.Cert}
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
			e, hops, w := source(t, 25)
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
			end := endOf(hops)
			if err := tr.Install(hops, end); !errors.Is(err, smt.ErrIncomplete) {
				t.Errorf("chunks are missing: %v", err)
			}
			if !send(t, tr, e.State, 1000) {
				t.Fatal("chunks are missing")
			}
			for name, c := range map[string]struct {
				hops []receipt.Hop
				end  *pbft.Decision
			}{
				"the last hop is missing":   {hops[:1], end},
				"a hop in between":          {append(hops[:1:1], hops[1], hops[1]), end},
				"out of order":              {[]receipt.Hop{hops[1], hops[0]}, end},
				"no end of the last epoch":  {hops, nil},
				"the end of an earlier one": {hops, endOf(hops[:1])},
			} {
				if err := tr.Install(c.hops, c.end); !errors.Is(err, archive.ErrOrder) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := tr.Install(hops, endOf(hops)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := old.Get([]byte("0/0")); !errors.Is(err, archive.ErrPruned) {
				t.Errorf("a map of what there was: %v", err)
			}
			for range 2 {
				checkInstalled(t, a, e)
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

func checkInstalled(t *testing.T, a *archive.Archive, e archive.Entry) {
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
	if got := hopsOf(t, a, 0); !slices.Equal(got, []uint64{10, 20}) {
		t.Errorf("hops at %d", got)
	}
	if end, err := a.EpochEnd(1); err != nil || end.Header.Seq != 20 {
		t.Errorf("the epoch before ends with %v, %v", end, err)
	}
	if hops, err := a.Path(validators(0).Digest(), head); err != nil || len(hops) != 2 {
		t.Errorf("%d hops to the checkpoint, %v", len(hops), err)
	}
	check(t, a)
}

func TestTransferToAnotherBlock(t *testing.T) {
	e, _, _ := source(t, 9)
	later, hops, _ := source(t, 15)
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
	if err := tr.Install(hops, endOf(hops)); err != nil {
		t.Fatal(err)
	}
	check(t, a)
	if _, err := a.Transfer(e.Decision); !errors.Is(err, archive.ErrOrder) {
		t.Errorf("a transfer to a block that is behind: %v", err)
	}
}
