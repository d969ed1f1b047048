package archive_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/decube/decube/internal/records/memstore"
	"github.com/decube/decube/ledger/archive"
)

// pruneTo prunes bodies before a block, however many calls that takes.
func pruneTo(tb testing.TB, a *archive.Archive, below uint64) {
	tb.Helper()
	for before := a.Earliest(); ; before = a.Earliest() {
		if _, err := a.PruneBodies(below); err != nil {
			tb.Fatal(err)
		}
		if a.Earliest() == before {
			return
		}
	}
}

// verifyPruned checks what is left of blocks whose bodies are gone, and that those of
// the others are there.
func verifyPruned(tb testing.TB, a *archive.Archive, head, earliest uint64) {
	tb.Helper()
	if a.Earliest() != earliest {
		tb.Errorf("bodies from %d on, want %d", a.Earliest(), earliest)
	}
	for _, e := range reference(tb, head) {
		seq := e.Decision.Header.Seq
		if d, err := a.Decision(seq); err != nil || d.Header != e.Decision.Header || len(d.Cert.Sigs) != len(e.Decision.Cert.Sigs) {
			tb.Errorf("decision %d: %v, %v", seq, d, err)
		}
		_, err := a.Body(seq)
		if _, batchErr := a.Batch(seq); seq < earliest && (!errors.Is(err, archive.ErrPruned) || !errors.Is(batchErr, archive.ErrPruned)) ||
			seq >= earliest && (err != nil || batchErr != nil) {
			tb.Errorf("body %d: %v, %v", seq, err, batchErr)
		}
		if ids, err := a.IDs(seq); err != nil || !slices.Equal(ids, e.IDs) {
			tb.Errorf("%d IDs of block %d, %v", len(ids), seq, err)
		}
		for i, id := range e.IDs {
			if s, j, err := a.Find(id); err != nil || s != seq || j != i {
				tb.Errorf("transaction %d of block %d is at %d of %d, %v", i, seq, j, s, err)
			}
		}
	}
	check(tb, a)
}

func TestPruneBodies(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			a := open(t, on)
			w := newWorld(state(t, a))
			entries := w.blocks(t, 40)
			for i := range entries {
				entries[i].Stateless = i%7 != 0
			}
			mustAppend(t, a, entries...)
			pruneTo(t, a, 30)
			verifyPruned(t, a, 39, 0) // nothing is durable
			if err := a.Sync(); err != nil {
				t.Fatal(err)
			}
			pruneTo(t, a, 20)
			verifyPruned(t, a, 39, 20)
			pruneTo(t, a, 10)
			verifyPruned(t, a, 39, 20)
			closed(t, a)
			a = open(t, on)
			verifyPruned(t, a, 39, 20)
			if err := a.Sync(); err != nil {
				t.Fatal(err)
			}
			pruneTo(t, a, 1000)
			verifyPruned(t, a, 39, 36) // the states behind 35 are made from their bodies
			closed(t, a)
			a = open(t, on)
			verifyPruned(t, a, 39, 36)
			if err := a.Reclaim(); err != nil {
				t.Error(err)
			}
			mustAppend(t, a, resume(t, a).blocks(t, 5)...)
			check(t, a)
			closed(t, a)
		})
	}
}

// One call has a bounded amount of work, in blocks and in bytes.
func TestPruneBodiesIsBounded(t *testing.T) {
	a := open(t, inMemory())
	defer closed(t, a)
	w := newWorld(state(t, a))
	w.perBlock = 1
	mustAppend(t, a, w.blocks(t, 1200)...)
	w.perBlock, w.size = 20, 60_000
	mustAppend(t, a, w.blocks(t, 80)...)
	if err := a.Sync(); err != nil {
		t.Fatal(err)
	}
	var steps []uint64
	for at := uint64(0); ; {
		next, err := a.PruneBodies(1 << 40)
		if err != nil {
			t.Fatal(err)
		}
		if next == at {
			break
		}
		steps = append(steps, next-at)
		at = next
	}
	if len(steps) < 5 || slices.Max(steps) > 512 || a.Earliest() != 1280 {
		t.Errorf("steps of %d blocks to %d", steps, a.Earliest())
	}
}

// watched is a store in memory that is looked at after each thing that is done to it.
type watched struct {
	*memstore.Store
	look func(*memstore.Store)
}

func (w *watched) Write(version uint64, changes []archive.Change) error {
	err := w.Store.Write(version, changes)
	w.look(w.Store)
	return err
}

func (w *watched) Sync() error {
	err := w.Store.Sync()
	w.look(w.Store)
	return err
}

// Wherever pruning is interrupted, bodies are there or known to be gone, and it goes
// on.
func TestPruningCrashes(t *testing.T) {
	mem := memstore.New(archive.Limits{Changes: 12, Bytes: 600 << 10})
	crashes := 0
	s := &watched{mem, func(*memstore.Store) {}}
	a, err := archive.Open(archive.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(state(t, a))
	mustAppend(t, a, w.blocks(t, 30)...)
	closed(t, a)
	mem.Crash(0)
	s.look = func(now *memstore.Store) {
		for keep := range now.Unsynced() + 1 {
			crashes++
			c := now.Clone()
			c.Crash(keep)
			a := open(t, &medium{mem: c})
			earliest := a.Earliest()
			if earliest > 25 || earliest > 0 && earliest != 10 && earliest != 25 {
				t.Errorf("bodies from %d on", earliest)
			}
			verifyPruned(t, a, 29, earliest)
			if err := a.Sync(); err != nil {
				t.Fatal(err)
			}
			pruneTo(t, a, 28)
			verifyPruned(t, a, 29, 28)
			left := 0
			for item, err := range c.Scan(archive.Range{Prefix: []byte{1, 'd'}}) {
				if err != nil {
					t.Fatal(err)
				}
				if item.Key[9] < 28 {
					left++
				}
			}
			if left > 0 {
				t.Errorf("%d parts of bodies are left", left)
			}
			closed(t, a)
		}
	}
	if a, err = archive.Open(archive.Options{Store: s}); err != nil {
		t.Fatal(err)
	}
	if err := a.Sync(); err != nil {
		t.Fatal(err)
	}
	for _, below := range []uint64{10, 25} {
		if got, err := a.PruneBodies(below); err != nil || got != below {
			t.Fatalf("pruned to %d, %v", got, err)
		}
	}
	s.look = func(*memstore.Store) {}
	closed(t, a)
	if crashes < 50 {
		t.Errorf("only %d crashes", crashes)
	}
}

// Pruning runs beside the writer and readers, who see a body or that it is gone.
func TestPruneBodiesBesideOthers(t *testing.T) {
	a := open(t, onDisk(t))
	defer closed(t, a)
	w := newWorld(state(t, a))
	mustAppend(t, a, w.next(t))
	done := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			head, _ := a.Head()
			if _, err := a.PruneBodies(head - min(head, 10)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	others.Go(func() {
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
			if _, err := a.Body(a.Earliest()); err != nil && !errors.Is(err, archive.ErrPruned) {
				t.Error(err)
				return
			}
		}
	})
	for range 60 {
		mustAppend(t, a, w.blocks(t, 2)...)
		if err := a.Sync(); err != nil {
			t.Error(err)
		}
	}
	close(done)
	others.Wait()
	pruneTo(t, a, 100)
	head, _ := a.Head()
	if a.Earliest() < 100 {
		t.Errorf("bodies from %d on", a.Earliest())
	}
	verifyPruned(t, a, head, a.Earliest())
}
