package archive_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// verify compares all that an archive says with the blocks up to its head.
func verify(tb testing.TB, a *archive.Archive, head uint64) {
	tb.Helper()
	if seq, ok := a.Head(); !ok || seq != head {
		tb.Fatalf("the head is %d, %t, want %d", seq, ok, head)
	}
	var hops []uint64
	for _, want := range reference(tb, head) {
		seq := want.Decision.Header.Seq
		got, err := a.Decision(seq)
		if err != nil || !reflect.DeepEqual(got, want.Decision) {
			tb.Fatalf("decision %d is %v, %v, want %v", seq, got, err, want.Decision)
		}
		if body, err := a.Body(seq); err != nil || !bytes.Equal(body, want.Body) {
			tb.Fatalf("body %d: %v", seq, err)
		}
		for i, id := range want.IDs {
			if s, j, err := a.Find(id); err != nil || s != seq || j != i {
				tb.Fatalf("transaction %d of block %d is at %d of %d, %v", i, seq, j, s, err)
			}
		}
		if want.Decision.Header.Last() {
			hops = append(hops, seq)
			end, err := a.EpochEnd(want.Decision.Header.Epoch)
			if err != nil || !reflect.DeepEqual(end, want.Decision) {
				tb.Errorf("epoch %d ends with %v, %v", want.Decision.Header.Epoch, end, err)
			}
			if hop, err := a.Hop(seq); err != nil || !reflect.DeepEqual(hop.Validators, want.Validators) {
				tb.Errorf("at block %d come %v, %v", seq, hop.Validators, err)
			}
		}
		if seq == head {
			equalState(tb, state(tb, a), want.State)
		}
	}
	if got := hopsOf(tb, a, 0); !slices.Equal(got, hops) {
		tb.Errorf("hops at %d, want %d", got, hops)
	}
}

// hopsOf returns at which blocks the archive has hops.
func hopsOf(tb testing.TB, a *archive.Archive, from uint64) []uint64 {
	tb.Helper()
	var at []uint64
	for hop, err := range a.Hops(from) {
		if err != nil {
			tb.Fatal(err)
		}
		at = append(at, hop.Header.Seq)
	}
	return at
}

// equalState compares two maps, entry by entry.
func equalState(tb testing.TB, got, want smt.Map) {
	tb.Helper()
	if got.Root() != want.Root() || got.Len() != want.Len() {
		tb.Fatalf("state with %d keys and root %x, want %d and %x", got.Len(), got.Root(), want.Len(), want.Root())
	}
	var n uint64
	for e, err := range got.All() {
		if err != nil {
			tb.Fatal(err)
		}
		if value, ok, err := want.Get(e.Key); err != nil || !ok || !bytes.Equal(value, e.Value) {
			tb.Fatalf("key %q: %v", e.Key, err)
		}
		n++
	}
	if n != want.Len() {
		tb.Fatalf("%d keys, want %d", n, want.Len())
	}
}

func TestArchiveKeepsBlocks(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			a := open(t, on)
			if _, ok := a.Head(); ok {
				t.Error("an empty archive has a head")
			}
			w := newWorld(state(t, a))
			for range 5 {
				mustAppend(t, a, w.blocks(t, 5)...)
			}
			verify(t, a, 24)
			for range 3 {
				closed(t, a)
				a = open(t, on)
				seq, _ := a.Head()
				verify(t, a, seq)
				mustAppend(t, a, resume(t, a).blocks(t, 5)...)
			}
			verify(t, a, 39)
			closed(t, a)
		})
	}
}

func TestWhatIsNotThere(t *testing.T) {
	a := open(t, inMemory())
	defer closed(t, a)
	mustAppend(t, a, newWorld(state(t, a)).blocks(t, 3)...)
	is := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}
	_, err := a.Decision(3)
	is(err, archive.ErrNotFound)
	_, err = a.Body(3)
	is(err, archive.ErrNotFound)
	_, err = a.StateAt(3)
	is(err, archive.ErrNotFound)
	_, _, err = a.Find(tx.ID{1})
	is(err, archive.ErrNotFound)
	_, err = a.EpochEnd(0)
	is(err, archive.ErrNotFound)
	_, err = a.Hop(2)
	is(err, archive.ErrNotFound)
	_, err = a.Path(pbft.Digest{}, 3)
	is(err, archive.ErrNotFound)
	_, err = a.Path(pbft.Digest{}, 2)
	is(err, receipt.ErrTrust)
	if c, err := a.Stable(); c != nil || err != nil {
		t.Errorf("stable is %v, %v", c, err)
	}
}

func TestAppendRefusesWhatDoesNotFollow(t *testing.T) {
	a := open(t, inMemory())
	defer closed(t, a)
	entries := newWorld(state(t, a)).blocks(t, 12)
	wrong := func(what string, e archive.Entry) {
		t.Helper()
		if err := a.Append(e); !errors.Is(err, archive.ErrOrder) {
			t.Errorf("%s: %v", what, err)
		}
	}
	edit := func(e archive.Entry, change func(*archive.Entry, *pbft.Decision)) archive.Entry {
		d := *e.Decision
		e.Decision = &d
		change(&e, &d)
		return e
	}
	wrong("no genesis", entries[1])
	mustAppend(t, a, entries[:10]...)
	wrong("the same again", entries[9])
	wrong("a gap", entries[11])
	wrong("a transaction less", edit(entries[10], func(e *archive.Entry, _ *pbft.Decision) { e.IDs = e.IDs[1:] }))
	wrong("no body", edit(entries[10], func(e *archive.Entry, _ *pbft.Decision) { e.Body = nil }))
	wrong("another state", edit(entries[10], func(e *archive.Entry, _ *pbft.Decision) { e.State = entries[9].State }))
	wrong("other validators", edit(entries[10], func(e *archive.Entry, _ *pbft.Decision) { e.Validators = validators(7) }))
	wrong("no certificate", edit(entries[10], func(_ *archive.Entry, d *pbft.Decision) { d.Cert = pbft.Certificate{} }))
	wrong("another parent", edit(entries[10], func(_ *archive.Entry, d *pbft.Decision) {
		d.Header.Parent[0]++
		d.Cert = certificate(&d.Header, pbft.Commit)
	}))
	mustAppend(t, a, entries[10:]...) // nothing happened
	verify(t, a, 11)
}

func TestStateless(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			a := open(t, on)
			entries := newWorld(state(t, a)).blocks(t, 9)
			for i := range entries {
				entries[i].Stateless = i%4 != 0
			}
			mustAppend(t, a, entries[:8]...)
			if seq, ok := a.StateSeq(); !ok || seq != 4 {
				t.Errorf("the last state is that of %d, %t, want 4", seq, ok)
			}
			if _, err := a.StateAt(5); !errors.Is(err, archive.ErrNotFound) {
				t.Errorf("a state that was not stored: %v", err)
			}
			closed(t, a)
			a = open(t, on)
			defer closed(t, a)
			seq, _ := a.StateSeq()
			if seq != 4 {
				t.Fatalf("the last state is that of %d, want 4", seq)
			}
			equalState(t, state(t, a), reference(t, 4)[4].State)
			// What follows is executed again from there.
			w := newWorld(state(t, a))
			w.last = entries[4].Decision.Header
			again := w.blocks(t, 4)
			mustAppend(t, a, again[3])
			verify(t, a, 8)
		})
	}
}

func TestLargeBlocks(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			a := open(t, on)
			w := newWorld(state(t, a))
			mustAppend(t, a, w.next(t))
			w.perBlock, w.size = 8000, 800 // more than a write has room for
			e := w.next(t)
			mustAppend(t, a, e)
			closed(t, a)
			a = open(t, on)
			if body, err := a.Body(1); err != nil || !bytes.Equal(body, e.Body) {
				t.Errorf("body of %d bytes, want %d: %v", len(body), len(e.Body), err)
			}
			if seq, i, err := a.Find(e.IDs[7999]); seq != 1 || i != 7999 || err != nil {
				t.Errorf("the last transaction is at %d of %d, %v", i, seq, err)
			}
			equalState(t, state(t, a), e.State)
			closed(t, a)
		})
	}
}

func TestCheckpoints(t *testing.T) {
	on := inMemory()
	on.interval = 4
	a := open(t, on)
	defer closed(t, a)
	mustAppend(t, a, newWorld(state(t, a)).blocks(t, 24)...)
	ds, err := a.Checkpoints(4)
	if err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	for _, d := range ds {
		seqs = append(seqs, d.Header.Seq)
	}
	if want := []uint64{8, 10, 12, 16, 20}; !reflect.DeepEqual(seqs, want) {
		t.Errorf("checkpoints at %d, want %d", seqs, want)
	}
}

// check has the archive read all of itself.
func check(tb testing.TB, a *archive.Archive) archive.Report {
	tb.Helper()
	r, err := a.Check(tb.Context())
	if err != nil {
		tb.Error(err)
	}
	return r
}
