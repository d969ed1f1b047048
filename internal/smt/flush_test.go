package smt_test

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/smt"
)

// holdsExactly checks that the store has what the maps are made of and nothing else.
func (s *store) holdsExactly(tb rapid.TB, all ...smt.Map) {
	tb.Helper()
	reachable := map[string]bool{}
	for _, m := range all {
		for key, err := range m.Keys() {
			if err != nil {
				tb.Fatal(err)
			}
			if _, ok := s.data[string(key)]; !ok {
				tb.Fatalf("%x is not in the store", key)
			}
			reachable[string(key)] = true
		}
	}
	for key := range s.data {
		if !reachable[key] {
			tb.Fatalf("%x is in the store and in no map", key)
		}
	}
}

// ledger is a caller: a line of versions, some ahead of what is flushed, over a
// store whose old versions are pruned.
type ledger struct {
	store   *store
	version uint64 // the next to flush
	flushed map[uint64]dumb

	ahead []smt.Map // the last flushed, and what was derived from it, in order
	model []dumb
}

func (l *ledger) last() (smt.Map, dumb) { return l.ahead[len(l.ahead)-1], l.model[len(l.model)-1] }

// flush flushes the i-th of the maps ahead, as some version from the next on.
func (l *ledger) flush(t *testing.T, i int, skip uint64) {
	t.Helper()
	version := l.version + skip
	ref := must(smt.ParseRootRef(encode(t, l.store.flush(t, l.ahead[i], version))))(t)
	if ref != l.store.refs[version] || ref.Root() != l.model[i].root() || ref.Len() != uint64(len(l.model[i])) {
		t.Fatalf("version %d: ref of %x, want %x", version, ref.Root(), l.model[i].root())
	}
	l.version = version + 1
	l.flushed[version] = l.model[i]
	l.ahead, l.model = slices.Clone(l.ahead[i:]), slices.Clone(l.model[i:])
}

// prune makes versions before the given one unreadable.
func (l *ledger) prune(t *testing.T, version uint64) {
	t.Helper()
	l.store.prune(t, version)
	for v := range l.flushed {
		if v < version {
			delete(l.flushed, v)
		}
	}
}

func TestStoreThroughALife(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStore()
		l := &ledger{
			store: s, flushed: map[uint64]dumb{},
			ahead: []smt.Map{smt.Open(s, smt.RootRef{})}, model: []dumb{{}},
		}
		rt.Repeat(map[string]func(*rapid.T){
			"apply": func(rt *rapid.T) {
				m, d := l.last()
				batch := changes(rt)
				l.ahead = append(l.ahead, must(m.Apply(batch))(t))
				l.model = append(l.model, d.apply(batch))
			},
			"roll back": func(rt *rapid.T) {
				n := rapid.IntRange(1, len(l.ahead)).Draw(rt, "keep")
				l.ahead, l.model = l.ahead[:n], l.model[:n]
			},
			"flush": func(rt *rapid.T) {
				l.flush(t, rapid.IntRange(0, len(l.ahead)-1).Draw(rt, "which"), rapid.Uint64Range(0, 2).Draw(rt, "skip"))
			},
			"shed": func(rt *rapid.T) {
				m, _ := l.last()
				m.Shed(rapid.IntRange(0, 5000).Draw(rt, "limit"))
			},
			"reopen": func(rt *rapid.T) {
				if _, ok := s.refs[l.version-1]; !ok {
					return
				}
				l.ahead = []smt.Map{smt.Open(s, s.refs[l.version-1])}
				l.model = []dumb{l.flushed[l.version-1]}
			},
			"prune": func(rt *rapid.T) {
				if versions := slices.Sorted(maps.Keys(l.flushed)); len(versions) > 0 {
					l.prune(t, rapid.SampledFrom(versions).Draw(rt, "version"))
				}
			},
			"": func(rt *rapid.T) {
				i := rapid.IntRange(0, len(l.ahead)-1).Draw(rt, "ahead")
				check(rt, l.ahead[i], l.model[i])
				var all []smt.Map
				versions := slices.Sorted(maps.Keys(l.flushed))
				for i, v := range versions {
					all = append(all, smt.Open(s, s.refs[v]))
					if i == 0 || i == len(versions)-1 {
						check(rt, all[i], l.flushed[v])
					}
				}
				s.holdsExactly(rt, all...)
			},
		})
	})
}

func TestFlushWritesWhatChangedOnly(t *testing.T) {
	m, s := filled(t, 2000)
	again := newBatch()
	ref := must(m.Flush(1, again))(t)
	same := must(m.Apply([]smt.Change{account(3, 3), {Key: []byte("not there"), Delete: true}}))(t)
	if must(same.Flush(2, again))(t) != ref || len(again.put)+len(again.stale) > 0 {
		t.Errorf("nothing changed: %d put, %d stale", len(again.put), len(again.stale))
	}
	one := newBatch()
	if _, err := must(m.Apply([]smt.Change{account(3, 4)}))(t).Flush(3, one); err != nil {
		t.Fatal(err)
	}
	if len(one.put) > 5 || len(one.put) != len(one.stale) {
		t.Errorf("one change of %d: %d put, %d stale", len(s.data), len(one.put), len(one.stale))
	}
}

func TestFlushOfAnotherLine(t *testing.T) {
	m, s := filled(t, 100)
	a := must(m.Apply([]smt.Change{account(1, 11)}))(t)
	for name, other := range map[string]smt.Change{
		"another key":       account(50, 99),
		"the same key":      account(1, 99),
		"a key less":        {Key: account(1, 0).Key, Delete: true},
		"a key more":        account(1000, 1),
		"with a record":     {Key: []byte("large"), Value: make([]byte, 500)},
		"what was put back": account(1, 1),
	} {
		s2 := smt.Open(s, s.refs[0])
		base := must(s2.Apply([]smt.Change{account(2, 22)}))(t)
		first := must(base.Apply([]smt.Change{account(1, 11), account(77, 1)}))(t)
		second := must(base.Apply([]smt.Change{other}))(t)
		if _, err := first.Flush(1, newBatch()); err != nil {
			t.Fatal(err)
		}
		if _, err := second.Flush(2, newBatch()); !errors.Is(err, smt.ErrFork) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.flush(t, a, 5)
	for _, version := range []uint64{0, 5, math.MaxUint64} {
		if _, err := a.Flush(version, newBatch()); !errors.Is(err, smt.ErrVersion) {
			t.Errorf("version %d after 5: %v", version, err)
		}
	}
	reopened := must(smt.Open(s, s.refs[5]).Apply([]smt.Change{account(1, 12)}))(t)
	if _, err := reopened.Flush(5, newBatch()); !errors.Is(err, smt.ErrVersion) {
		t.Errorf("version 5 after it was opened: %v", err)
	}
}

// failingSink fails at its n-th call.
type failingSink struct{ calls int }

var errSink = errors.New("sink is full")

func (s *failingSink) fail() error {
	if s.calls--; s.calls < 0 {
		return errSink
	}
	return nil
}

func (s *failingSink) Put(_, _ []byte) error { return s.fail() }
func (s *failingSink) Stale(_ []byte) error  { return s.fail() }

func TestFailedFlushLeavesTheMapAsItWas(t *testing.T) {
	m, s := filled(t, 300)
	m = must(m.Apply([]smt.Change{
		account(1, 9),
		{Key: account(2, 0).Key, Delete: true},
		{Key: []byte("large"), Value: make([]byte, 500)},
	}))(t)
	for calls := 0; ; calls++ {
		_, err := m.Flush(1, &failingSink{calls: calls})
		if err == nil {
			t.Fatalf("%d calls and no error", calls)
		}
		if !errors.Is(err, errSink) {
			t.Fatal(err)
		}
		if _, err := m.Ref(); !errors.Is(err, smt.ErrNotFlushed) {
			t.Fatalf("ref of a map that is not flushed: %v", err)
		}
		if calls == 4 {
			break
		}
	}
	ref := s.flush(t, m, 1)
	opened := smt.Open(s, ref)
	if v, ok, err := opened.Get([]byte("large")); !ok || err != nil || len(v) != 500 {
		t.Errorf("after the flush: %d bytes, %v, %v", len(v), ok, err)
	}
	s.prune(t, 1)
	s.holdsExactly(t, opened)
}

func TestEveryCorruptByteIsFound(t *testing.T) {
	s := newStore()
	m := must(smt.Open(s, smt.RootRef{}).Apply([]smt.Change{
		{Key: []byte("a"), Value: []byte("small")},
		{Key: []byte("b"), Value: bytes.Repeat([]byte("large"), 50)},
		{Key: []byte("c"), Value: nil},
		account(1, 1), account(2, 2), account(3, 3),
	}))(t)
	ref := s.flush(t, m, 3)
	readAll := func() error {
		for _, err := range smt.Open(s, ref).All() {
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := readAll(); err != nil {
		t.Fatal(err)
	}
	for key, value := range s.data {
		mutations(value, func(mutated []byte) {
			s.data[key] = mutated
			if err := readAll(); !errors.Is(err, smt.ErrCorrupt) && !errors.Is(err, errMissing) {
				t.Errorf("record %x is %x, was %x: %v", key, mutated, value, err)
			}
		})
		delete(s.data, key)
		if err := readAll(); !errors.Is(err, errMissing) {
			t.Errorf("record %x is missing: %v", key, err)
		}
		s.data[key] = value
	}
}

func TestShedBoundsMemory(t *testing.T) {
	m, s := filled(t, 20_000)
	all := m.Shed(math.MaxInt)
	hot := account(7, 7)
	for _, limit := range []int{all / 2, all / 10, 10_000} {
		if _, _, err := m.Get(hot.Key); err != nil {
			t.Fatal(err)
		}
		if got := m.Shed(limit); got > limit {
			t.Errorf("%d bytes remain, limit %d", got, limit)
		}
		before := s.reads
		if v, ok, err := m.Get(hot.Key); !ok || err != nil || !bytes.Equal(v, hot.Value) {
			t.Errorf("%x, %v, %v", v, ok, err)
		}
		if s.reads != before {
			t.Errorf("limit %d: what was read last was shed first", limit)
		}
	}
	if got := m.Shed(0); got > 200 {
		t.Errorf("%d bytes remain, limit 0", got)
	}
	dirty := must(m.Apply([]smt.Change{account(7, 8)}))(t)
	dirty.Shed(0)
	if v, ok, err := dirty.Get(hot.Key); !ok || err != nil || bytes.Equal(v, hot.Value) {
		t.Errorf("what is not flushed: %x, %v, %v", v, ok, err)
	}
}

func TestNoRefOfWhatIsNotFlushed(t *testing.T) {
	for _, batch := range [][]smt.Change{
		{{Key: []byte("large"), Value: make([]byte, 500)}},
		{account(1, 1), account(2, 2)},
	} {
		m := must(smt.Map{}.Apply(batch))(t)
		if _, err := m.Ref(); !errors.Is(err, smt.ErrNotFlushed) {
			t.Errorf("ref: %v", err)
		}
		for _, err := range m.Keys() {
			if !errors.Is(err, smt.ErrNotFlushed) {
				t.Errorf("keys: %v", err)
			}
		}
	}
}

func FuzzRootRef(f *testing.F) {
	for n := range 3 {
		m, s := filled(f, n)
		f.Add(encode(f, s.refs[0]))
		m = must(m.Apply([]smt.Change{{Key: []byte("large"), Value: make([]byte, 500)}}))(f)
		f.Add(encode(f, s.flush(f, m, 1)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ref, err := smt.ParseRootRef(b)
		if err != nil {
			if !errors.Is(err, smt.ErrMalformed) {
				t.Errorf("%v", err)
			}
			return
		}
		if again := encode(t, ref); !bytes.Equal(again, b) || len(again) > smt.MaxRootRef {
			t.Errorf("%x is encoded as %x", b, again)
		}
	})
}

// FuzzPage opens maps over records that anybody may have written.
func FuzzPage(f *testing.F) {
	s := newStore()
	m := must(smt.Open(s, smt.RootRef{}).Apply([]smt.Change{
		{Key: []byte("large"), Value: make([]byte, 500)}, account(1, 1), account(2, 2), account(3, 3),
	}))(f)
	ref := s.flush(f, m, 0)
	for _, v := range s.data {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var last error
		for e, err := range smt.Open(reader(b), ref).All() {
			if v, ok, _ := m.Get(e.Key); err == nil && (!ok || !bytes.Equal(v, e.Value)) {
				t.Errorf("%q: %x was read from %x", e.Key, e.Value, b)
			}
			last = err
		}
		if !errors.Is(last, smt.ErrCorrupt) {
			t.Errorf("read to the end: %v", last)
		}
	})
}

// reader has the same value for every key.
type reader []byte

func (r reader) Get([]byte) ([]byte, error) { return r, nil }
