package archive_test

import (
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// evidence is about replica i%4 in epoch i/4.
func evidence(i int) *pbft.Evidence {
	subject := pbft.Subject{Phase: pbft.Prepare, Epoch: uint64(i / 4), Seq: uint64(i)}
	vote := pbft.Vote{Subject: subject, Replica: quorum.Replica(i % 4)}
	other := vote
	other.Digest[0]++
	return &pbft.Evidence{Kind: pbft.Equivocation, First: vote, Second: other}
}

func TestEvidenceIsKept(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			a := open(t, on)
			put := func(from, to int) {
				t.Helper()
				for i := from; i < to; i++ {
					if err := a.PutEvidence(evidence(i)); err != nil {
						t.Fatal(err)
					}
				}
			}
			wantEvidence := func(from, to int) {
				t.Helper()
				all, err := a.Evidence()
				if err != nil || len(all) != to-from {
					t.Fatalf("%d pieces of evidence, %v, want %d", len(all), err, to-from)
				}
				for i := range all {
					if !reflect.DeepEqual(&all[i], evidence(from+i)) {
						t.Errorf("evidence %d is %v", i, &all[i])
					}
				}
			}
			put(0, 5)
			put(2, 4) // again
			wantEvidence(0, 5)
			closed(t, a)
			a = open(t, on)
			defer closed(t, a)
			wantEvidence(0, 5)
			put(3, archive.MaxEvidence+7)
			wantEvidence(7, archive.MaxEvidence+7)
		})
	}
}

// A replica may contradict itself as often as it likes: one piece convicts it in an
// epoch, and no other is looked at or stored, after a restart too.
func TestOnePieceOfEvidenceConvicts(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			s := &recorder{on.store(t), map[place][]byte{}}
			a, err := archive.Open(archive.Options{Store: s})
			if err != nil {
				t.Fatal(err)
			}
			flood := func() {
				t.Helper()
				for i := range 20_000 {
					e := evidence(2)
					e.First.Seq, e.Second.Seq = uint64(i), uint64(i)
					if err := a.PutEvidence(e); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := len(s.values)
			flood()
			if n := len(s.values) - before; n != 1 {
				t.Errorf("%d writes", n)
			}
			closed(t, a)
			a = open(t, on)
			flood()
			if all, err := a.Evidence(); err != nil || len(all) != 1 || all[0].First.Seq != 0 {
				t.Errorf("%d pieces of evidence, %v", len(all), err)
			}
			if err := a.PutEvidence(evidence(6)); err != nil { // the same replica in another epoch
				t.Fatal(err)
			}
			if all, err := a.Evidence(); err != nil || len(all) != 2 {
				t.Errorf("%d pieces of evidence, %v", len(all), err)
			}
			closed(t, a)
		})
	}
}

// largeView returns a NEW-VIEW with so many locks, each of the largest committee.
func largeView(view uint64, locks int) *pbft.NewView {
	vc := &pbft.ViewChange{Epoch: 3, View: view}
	n := &pbft.NewView{Epoch: 3, View: view, Changes: []*pbft.ViewChange{vc}}
	parent := vc.Base.Digest
	for i := range uint64(locks) {
		h := pbft.Header{Epoch: 3, Seq: i + 1, Parent: parent}
		parent = h.Digest()
		l := pbft.Lock{Header: h, Cert: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Prepare, Epoch: 3, Seq: h.Seq, Digest: parent}}}
		for r := range quorum.Replica(quorum.MaxReplicas) {
			l.Cert.Sigs = append(l.Cert.Sigs, pbft.Signed{Replica: r})
		}
		vc.Locks = append(vc.Locks, l)
		n.Proposals = append(n.Proposals, &pbft.Proposal{View: view, Header: h})
	}
	return n
}

// What is too large is refused, and changes nothing; of the rest the sum is bounded.
func TestLargeProofs(t *testing.T) {
	a := open(t, inMemory())
	defer closed(t, a)
	largest := evidence(0)
	largest.Kind, largest.Second = pbft.Amnesia, pbft.Vote{}
	largest.Change = largeView(1, pbft.MaxWindow).Changes[0]
	if err := a.PutEvidence(largest); err != nil {
		t.Errorf("the largest evidence that there can be: %v", err)
	}
	if err := a.PutNewView(largeView(1, pbft.MaxWindow)); !errors.Is(err, archive.ErrTooLarge) {
		t.Errorf("a large NEW-VIEW: %v", err)
	}
	for view := range uint64(40) {
		if err := a.PutNewView(largeView(view, 40)); err != nil {
			t.Fatal(err)
		}
	}
	views, err := a.NewViews(3)
	if n := len(views); err != nil || n < 15 || n > 25 || views[n-1].View != 39 {
		t.Errorf("%d views, %v", n, err)
	}
}

func TestNewViewsAreKept(t *testing.T) {
	a := open(t, inMemory())
	defer closed(t, a)
	for _, v := range []*pbft.NewView{{Epoch: 1, View: 300}, {Epoch: 0, View: 2}, {Epoch: 1, View: 7}, {Epoch: 1, View: 7}} {
		if err := a.PutNewView(v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := a.NewViews(1)
	if err != nil || len(got) != 2 || got[0].View != 7 || got[1].View != 300 {
		t.Errorf("views %v, %v", got, err)
	}
	for view := range uint64(archive.MaxNewViews) {
		if err := a.PutNewView(&pbft.NewView{Epoch: 2, View: view}); err != nil {
			t.Fatal(err)
		}
	}
	for epoch, want := range []int{0, 0, archive.MaxNewViews} {
		if got, err := a.NewViews(uint64(epoch)); err != nil || len(got) != want {
			t.Errorf("%d views of epoch %d, %v, want %d", len(got), epoch, err, want)
		}
	}
}

func TestStableIsKept(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			a := open(t, on)
			e := reference(t, 4)[4]
			cert := certificate(&e.Decision.Header, pbft.Checkpoint)
			if err := a.SetStable(&cert); err != nil {
				t.Fatal(err)
			}
			closed(t, a)
			a = open(t, on)
			defer closed(t, a)
			if got, err := a.Stable(); err != nil || !reflect.DeepEqual(got, &cert) {
				t.Errorf("stable is %v, %v", got, err)
			}
		})
	}
}

func TestPrune(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			a := open(t, on)
			entries := newWorld(state(t, a)).blocks(t, 30)
			for i := range entries {
				entries[i].Stateless = i%2 == 1
			}
			mustAppend(t, a, entries...)
			if kept, err := a.Prune(20); err != nil || kept != 0 {
				t.Errorf("nothing is durable: kept from %d, %v", kept, err)
			}
			if err := a.Sync(); err != nil {
				t.Fatal(err)
			}
			if kept, err := a.Prune(21); err != nil || kept != 20 {
				t.Errorf("kept from %d, %v, want 20: that of 21 is not stored", kept, err)
			}
			if kept, err := a.Prune(11); err != nil || kept != 20 {
				t.Errorf("kept from %d, %v, want 20", kept, err)
			}
			for range 2 {
				if _, err := a.StateAt(18); !errors.Is(err, archive.ErrPruned) {
					t.Errorf("state 18: %v", err)
				}
				for seq := uint64(20); seq < 30; seq += 2 {
					m, err := a.StateAt(seq)
					if err != nil {
						t.Fatal(err)
					}
					equalState(t, m, reference(t, seq)[seq].State)
				}
				closed(t, a)
				a = open(t, on)
			}
			check(t, a)
			closed(t, a)
		})
	}
}

// Old versions must really go, and only they: many blocks, so that the store compacts.
func TestPrunedVersionsGo(t *testing.T) {
	a := open(t, onDisk(t))
	defer closed(t, a)
	w := newWorld(state(t, a))
	w.perBlock = 400
	for range 60 {
		e := w.next(t)
		mustAppend(t, a, e)
		if err := a.Sync(); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Prune(e.Decision.Header.Seq); err != nil {
			t.Fatal(err)
		}
	}
	check(t, a)
	equalState(t, state(t, a), w.state)
}

// Readers see a head and all that belongs to it, whatever the writer does.
func TestReadersBesideTheWriter(t *testing.T) {
	a := open(t, onDisk(t))
	defer closed(t, a)
	w := newWorld(state(t, a))
	mustAppend(t, a, w.next(t))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := a.Check(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 60 {
		mustAppend(t, a, w.blocks(t, 2)...)
		if err := a.Sync(); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

func TestMapsOfAnEmptyArchive(t *testing.T) {
	a := open(t, inMemory())
	defer closed(t, a)
	if m := state(t, a); m.Root() != (smt.Digest{}) || m.Len() != 0 {
		t.Errorf("the state has %d keys", m.Len())
	}
	if _, ok := a.StateSeq(); ok {
		t.Error("an empty archive has a state")
	}
	if r := check(t, a); r != (archive.Report{}) {
		t.Errorf("report %+v", r)
	}
	if ds, err := a.Checkpoints(0); ds != nil || err != nil {
		t.Errorf("checkpoints %v, %v", ds, err)
	}
}
