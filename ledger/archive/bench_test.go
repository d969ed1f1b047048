package archive_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// load makes blocks as a busy ledger has them: each transaction changes its owner's
// account, one of many, and adds a key.
type load struct {
	rnd      *rand.Rand
	accounts int
	perBlock int
	last     pbft.Header
	state    smt.Map
	batch    tx.Batch
	body     []byte
	ids      []tx.ID
}

func newLoad(tb testing.TB, a *archive.Archive, accounts, perBlock, size int) *load {
	tb.Helper()
	l := &load{rnd: rand.New(rand.NewPCG(1, 2)), accounts: accounts, perBlock: perBlock, state: state(tb, a)}
	w := newWorld(smt.Map{})
	w.size = size
	for i := range perBlock {
		l.batch = append(l.batch, w.transaction(tb, 1, i))
	}
	l.body, l.ids = l.batch.AppendTo(nil), l.batch.IDs()
	mustAppend(tb, a, l.genesis(tb))
	return l
}

func (l *load) genesis(tb testing.TB) archive.Entry {
	tb.Helper()
	changes := make([]smt.Change, l.accounts)
	for i := range changes {
		changes[i] = l.account(i)
	}
	l.apply(tb, changes)
	l.last = pbft.Header{State: l.state.Root(), Body: tx.Root(nil)}
	return archive.Entry{Decision: &pbft.Decision{Header: l.last}, State: l.state}
}

func (l *load) apply(tb testing.TB, changes []smt.Change) {
	tb.Helper()
	var err error
	if l.state, err = l.state.Apply(changes); err != nil {
		tb.Fatal(err)
	}
}

func (l *load) account(i int) smt.Change {
	value := make([]byte, 40)
	binary.BigEndian.PutUint64(value, l.rnd.Uint64())
	return smt.Change{Key: fmt.Appendf(nil, "account/%024d", i), Value: value}
}

// next returns the next block. Its transactions are always the same, with other IDs:
// making new ones would take longer than what is measured.
func (l *load) next(tb testing.TB) archive.Entry {
	tb.Helper()
	h := pbft.Header{Seq: l.last.Seq + 1, Parent: l.last.Digest(), Count: uint32(l.perBlock)}
	ids := make([]tx.ID, l.perBlock)
	changes := make([]smt.Change, 0, 2*l.perBlock)
	for i := range ids {
		ids[i] = l.ids[i]
		binary.BigEndian.PutUint64(ids[i][:], l.rnd.Uint64())
		added := smt.Change{Key: fmt.Appendf(nil, "record/%d/%d", h.Seq, i), Value: make([]byte, 60)}
		changes = append(changes, l.account(l.rnd.IntN(l.accounts)), added)
	}
	l.apply(tb, changes)
	h.State = l.state.Root()
	l.last = h
	d := &pbft.Decision{Header: h, Cert: certificate(&h, pbft.Commit)}
	return archive.Entry{Decision: d, Body: l.body, IDs: ids, State: l.state}
}

// cpu returns the microseconds of CPU that the process has used.
func cpu(tb testing.TB) float64 {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
}

// BenchmarkAppend measures the CPU of the whole process while the archive is at work,
// with Badger's compactions and what the collector spends on the state in memory.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ accounts, perBlock, size, every int }{
		{1000, 1000, 100, 1},
		{100_000, 1000, 100, 1},
		{100_000, 1000, 100, 16},
		{100_000, 1000, 100, 128},
		{100_000, 500, 800, 128},
	} {
		b.Run(fmt.Sprintf("accounts=%d/block=%d/size=%d/stateEvery=%d", c.accounts, c.perBlock, c.size, c.every), func(b *testing.B) {
			a := open(b, onDisk(b))
			l := newLoad(b, a, c.accounts, c.perBlock, c.size)
			var used float64
			n := 0
			for b.Loop() {
				n++
				b.StopTimer()
				e := l.next(b)
				e.Stateless = n%c.every != 0
				if n%50 == 0 {
					l.state.Shed(64 << 20)
				}
				before := cpu(b)
				b.StartTimer()
				mustAppend(b, a, e)
				if n%64 == 0 {
					if err := a.Sync(); err != nil {
						b.Fatal(err)
					}
					if _, err := a.Prune(l.last.Seq); err != nil {
						b.Fatal(err)
					}
				}
				used += cpu(b) - before
			}
			before := cpu(b)
			closed(b, a)
			used += cpu(b) - before
			b.ReportMetric(used/float64(n)/float64(c.perBlock), "cpu-µs/tx")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/float64(c.perBlock), "ns/tx")
		})
	}
}

// BenchmarkFind looks for transactions that are in memory, in the store, and nowhere.
func BenchmarkFind(b *testing.B) {
	a := open(b, onDisk(b))
	defer closed(b, a)
	l := newLoad(b, a, 1000, 1000, 20)
	var first, last archive.Entry
	for n := range 200 {
		if last = l.next(b); n == 0 {
			first = last
		}
		last.Stateless = true
		mustAppend(b, a, last)
	}
	for _, c := range []struct {
		name string
		id   tx.ID
		ok   bool
	}{{"memory", last.IDs[7], true}, {"store", first.IDs[7], true}, {"nowhere", tx.ID{1}, false}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := a.Find(c.id); (err == nil) != c.ok {
					b.Fatal(err)
				}
			}
		})
	}
}
