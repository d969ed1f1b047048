package memstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/records/memstore"
	"github.com/decube/decube/internal/records/storetest"
)

// medium has a store that a crash does not end.
type medium struct{ *memstore.Store }

func (m medium) Open(testing.TB) records.Store {
	m.Store.Crash(m.Unsynced()) // it may have been closed
	return m.Store
}

func (m medium) Crash(_ testing.TB, rnd *rand.Rand) { m.Store.Crash(rnd.IntN(m.Unsynced() + 1)) }

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Options{
		Medium: func(testing.TB) storetest.Medium { return medium{memstore.New(memstore.DefaultLimits)} },
		Runs:   100,
	})
}

func put(t *testing.T, s *memstore.Store, version uint64, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := s.Write(version, []records.Change{{Key: []byte(key)}}); err != nil {
			t.Fatal(err)
		}
	}
}

func keys(t *testing.T, s *memstore.Store) string {
	t.Helper()
	var all string
	for item, err := range s.Scan(records.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		all += string(item.Key)
	}
	return all
}

// Each prefix of the writes since the last Sync may be what a crash leaves.
func TestCrashLeavesAnyPrefix(t *testing.T) {
	s := memstore.New(memstore.DefaultLimits)
	put(t, s, 1, "a", "b")
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	put(t, s, 1, "c", "d", "e")
	for keep := range 4 {
		c := s.Clone()
		c.Crash(keep)
		if got := keys(t, c); got != "abcde"[:2+keep] || c.Unsynced() != 0 {
			t.Errorf("after %d of 3 writes there is %q", keep, got)
		}
	}
	if err := s.SyncFirst(2); err != nil || s.Unsynced() != 1 {
		t.Errorf("%d writes are not durable, %v", s.Unsynced(), err)
	}
	c := s.Clone()
	put(t, c, 2, "x") // of which s knows nothing
	s.Crash(0)
	if got := keys(t, s); got != "abcd" {
		t.Errorf("there is %q", got)
	}
}

// A write is dirty until a Sync, and counts by its version.
func TestDirty(t *testing.T) {
	s := memstore.New(memstore.DefaultLimits)
	put(t, s, 3, "a")
	put(t, s, 5, "b")
	c := s.Clone()
	if s.Dirty(2) || !s.Dirty(3) || !s.Dirty(9) {
		t.Error("written at 3 and 5")
	}
	if err := s.SyncFirst(1); err != nil || s.Dirty(4) || !s.Dirty(5) {
		t.Errorf("synced what was written at 3: %v", err)
	}
	s.Crash(0)
	if s.Dirty(9) || !c.Dirty(3) {
		t.Error("after a crash nothing is dirty, and the clone is as it was")
	}
	put(t, c, 1, "c")
	if err := c.Drop([]byte("c")); err != nil || c.Dirty(9) {
		t.Errorf("what was dropped is durable: %v", err)
	}
}

func TestClosed(t *testing.T) {
	s := memstore.New(memstore.DefaultLimits)
	put(t, s, 1, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Get([]byte("a"), 1)
	for _, err := range []error{err, s.Write(1, nil), s.Sync(), s.Drop(nil), s.Close()} {
		if !errors.Is(err, memstore.ErrClosed) {
			t.Errorf("a closed store says %v", err)
		}
	}
	for _, err := range s.Scan(records.Range{}) {
		if !errors.Is(err, memstore.ErrClosed) {
			t.Errorf("a closed store says %v", err)
		}
	}
	s.Crash(0)
	if got := keys(t, s); got != "a" {
		t.Errorf("there is %q", got)
	}
}

func BenchmarkWrite(b *testing.B) {
	s := memstore.New(memstore.DefaultLimits)
	changes := make([]records.Change, 100)
	for n := 0; b.Loop(); n++ {
		for i := range changes {
			changes[i] = records.Change{Key: fmt.Appendf(nil, "key %d", (n*7919+i*104729)%100_000), Value: make([]byte, 60)}
		}
		if err := s.Write(uint64(n), changes); err != nil {
			b.Fatal(err)
		}
		if n%64 == 0 {
			s.Discard(uint64(n))
			if err := s.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(changes)), "ns/change")
}
