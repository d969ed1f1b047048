package smt_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/decube/decube/internal/smt"
)

const benchKeys = 100_000

// account returns a key and a value as the ledger's state has many of.
func account(i, balance int) smt.Change {
	key := binary.BigEndian.AppendUint64([]byte("account/"), uint64(i))
	value := make([]byte, 40)
	binary.BigEndian.PutUint64(value, uint64(balance))
	return smt.Change{Key: key, Value: value}
}

// filled returns a flushed map of n accounts and its store.
func filled(tb testing.TB, n int) (smt.Map, *store) {
	tb.Helper()
	s := newStore()
	changes := make([]smt.Change, n)
	for i := range changes {
		changes[i] = account(i, i)
	}
	m := must(smt.Open(s, smt.RootRef{}).Apply(changes))(tb)
	s.flush(tb, m, 0)
	return m, s
}

// batches returns a function that makes batches of changes of random accounts.
func batches(size int) func() []smt.Change {
	rnd := rand.New(rand.NewPCG(1, 2))
	return func() []smt.Change {
		changes := make([]smt.Change, size)
		for i := range changes {
			changes[i] = account(rnd.IntN(benchKeys), rnd.Int())
		}
		return changes
	}
}

func BenchmarkApply(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"batch=1", 1}, {"batch=100", 100}, {"batch=500", 500}, {"batch=2000", 2000}, {"batch=6000", 6000}} {
		b.Run(c.name, func(b *testing.B) {
			m, _ := filled(b, benchKeys)
			next := batches(c.size)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				changes := next()
				b.StartTimer()
				m = must(m.Apply(changes))(b)
			}
			perKey(b, c.size)
		})
	}
}

func BenchmarkFlush(b *testing.B) {
	const size = 2000
	m, _ := filled(b, benchKeys)
	next := batches(size)
	var sink countingSink
	b.ReportAllocs()
	version := uint64(0)
	for b.Loop() {
		b.StopTimer()
		m = must(m.Apply(next()))(b)
		version++
		b.StartTimer()
		if _, err := m.Flush(version, &sink); err != nil {
			b.Fatal(err)
		}
	}
	perKey(b, size)
	keys := float64(b.N) * size
	b.ReportMetric(float64(sink.puts)/keys, "puts/key")
	b.ReportMetric(float64(sink.stale)/keys, "stale/key")
	b.ReportMetric(float64(sink.bytes)/keys, "B/key")
}

func BenchmarkGet(b *testing.B) {
	m, _ := filled(b, benchKeys)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i = (i + 7919) % benchKeys
		if _, ok, err := m.Get(account(i, 0).Key); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkProve(b *testing.B) {
	m, _ := filled(b, benchKeys)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i = (i + 7919) % benchKeys
		if _, err := m.Prove(account(i, 0).Key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	m, _ := filled(b, benchKeys)
	c := account(7919, 7919)
	p := must(m.Prove(c.Key))(b)
	root := m.Root()
	b.ReportAllocs()
	for b.Loop() {
		if err := smt.Verify(root, c.Key, c.Value, p); err != nil {
			b.Fatal(err)
		}
	}
}

func perKey(b *testing.B, size int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/key")
}

// countingSink counts what it is given.
type countingSink struct{ puts, stale, bytes int }

func (s *countingSink) Put(key, value []byte) error {
	s.puts++
	s.bytes += len(key) + len(value)
	return nil
}

func (s *countingSink) Stale([]byte) error {
	s.stale++
	return nil
}
