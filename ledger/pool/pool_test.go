package pool_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/decube/decube/ledger/pool"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

var owner = sig.FromSeed([sig.SeedSize]byte{1}).Public()

// put returns a transaction that writes a record of so many bytes. Nobody
// here looks at signatures.
func put(tb testing.TB, nonce uint64, size int) *tx.Transaction {
	tb.Helper()
	t, err := tx.New([32]byte{'n'}, owner, nonce, tx.RecordPut{Key: "k", Value: make([]byte, size)}, sig.Signature{})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// puts returns n small transactions with nonces from first on.
func puts(tb testing.TB, first uint64, n int) []*tx.Transaction {
	tb.Helper()
	ts := make([]*tx.Transaction, n)
	for i := range ts {
		ts[i] = put(tb, first+uint64(i), 10)
	}
	return ts
}

// nonces returns what transactions are told apart by here.
func nonces(ts []*tx.Transaction) []uint64 {
	ns := make([]uint64, len(ts))
	for i, t := range ts {
		ns[i] = t.Nonce
	}
	return ns
}

func ids(ts []*tx.Transaction) []tx.ID { return tx.Batch(ts).IDs() }

func newPool(n int, l pool.Limits) *pool.Pool {
	p := pool.New(l)
	p.SetOrigins(n)
	return p
}

func mustAdd(tb testing.TB, p *pool.Pool, origin int, now uint64, ts ...*tx.Transaction) {
	tb.Helper()
	for _, err := range p.AddAll(ts, origin, now) {
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// all is more than any test's pool holds.
const all = 1 << 30

func wantNext(tb testing.TB, p *pool.Pool, want ...uint64) {
	tb.Helper()
	if got := nonces(p.Next(all, all, nil)); !slices.Equal(got, want) {
		tb.Errorf("Next has %d, want %d", got, want)
	}
}

func wantCode(tb testing.TB, err error, want tx.Code) {
	tb.Helper()
	if code, ok := tx.CodeOf(err); !ok || code != want {
		tb.Errorf("error %v, want the code %v", err, want)
	}
}

func TestOriginsTakeTurns(t *testing.T) {
	p := newPool(3, pool.Limits{})
	for origin := range 3 {
		for i := range 3 {
			mustAdd(t, p, origin, 0, put(t, uint64(10*origin+i), 3000)) // one fits in a quantum
		}
	}
	wantNext(t, p, 0, 10, 20, 1, 11, 21, 2, 12, 22)
	// The next block begins with the next origin.
	if got, want := nonces(p.Next(4, all, nil)), []uint64{10, 20, 0, 11}; !slices.Equal(got, want) {
		t.Errorf("Next has %d, want %d", got, want)
	}
}

func TestNextKeepsLimitsAndOrder(t *testing.T) {
	p := newPool(1, pool.Limits{})
	small, large, last := put(t, 1, 10), put(t, 2, 1000), put(t, 3, 10)
	mustAdd(t, p, 0, 0, small, large, last)
	if got := nonces(p.Next(2, all, nil)); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("two transactions at most: %d", got)
	}
	// The last one would fit, but must not overtake.
	if got := nonces(p.Next(all, tx.EncodedSize(large), nil)); !slices.Equal(got, []uint64{1}) {
		t.Errorf("no room for the large one: %d", got)
	}
	// Where the large one never fits, it must not be in the way.
	if got := nonces(p.Next(all, tx.EncodedSize(large)-1, nil)); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("never room for the large one: %d", got)
	}
	if got := p.Next(all, tx.EncodedSize(small)-1, nil); len(got) > 0 {
		t.Errorf("room for none: %d", nonces(got))
	}
	if got := p.Next(0, all, nil); len(got) > 0 {
		t.Errorf("none asked for: %d", nonces(got))
	}
	skip := func(id tx.ID) bool { return id == large.ID() }
	if got := nonces(p.Next(all, all, skip)); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("with the large one skipped: %d", got)
	}
}

func TestFloodTakesOnlyItsShare(t *testing.T) {
	p := newPool(4, pool.Limits{Transactions: 40, Bytes: 40_000})
	flood := puts(t, 1000, 11)
	errs := p.AddAll(flood, 3, 0)
	if len(errs) != 11 || errs[9] != nil {
		t.Fatalf("errors %v, want one, for the last", errs)
	}
	wantCode(t, errs[10], tx.CodeQueueFull)
	mustAdd(t, p, 0, 0, puts(t, 0, 10)...)
	wantCode(t, p.Add(put(t, 2000, 9900), 1, 0), tx.CodeOK) // one always fits
	wantCode(t, p.Add(put(t, 2001, 9900), 1, 0), tx.CodeQueueFull)
	wantCode(t, p.Add(put(t, 2002, 10), 4, 0), tx.CodeNotValidator)
	wantCode(t, p.Add(put(t, 2002, 10), -1, 0), tx.CodeNotValidator)
	if s := p.Stats(); s.Transactions != 21 || !slices.Equal(s.Origins, []int{10, 1, 0, 10}) {
		t.Errorf("stats %+v", s)
	}
}

// An origin with large transactions gets no more of a block than the others, and
// however small its part of each block is, its turn comes.
func TestTurnsAreCountedInBytes(t *testing.T) {
	p := newPool(2, pool.Limits{})
	for i := range 100 {
		mustAdd(t, p, 0, 0, put(t, uint64(i), 10_000))
		mustAdd(t, p, 1, 0, puts(t, uint64(1000+100*i), 100)...)
	}
	var bytes [2]int
	for _, x := range p.Next(all, 500_000, nil) {
		if x.Nonce < 1000 {
			bytes[0] += tx.EncodedSize(x)
		} else {
			bytes[1] += tx.EncodedSize(x)
		}
	}
	if bytes[0] < 230_000 || bytes[1] < 230_000 {
		t.Errorf("bytes by origin %v, want about as many of both", bytes)
	}
}

func TestLargeTransactionsAreReached(t *testing.T) {
	const origins = 64
	p := newPool(origins, pool.Limits{Transactions: 100_000, Bytes: 256 << 20})
	large := put(t, 1_000_000, tx.MaxValue)
	mustAdd(t, p, 0, 0, large)
	nonce := uint64(0)
	for origin := 1; origin < origins; origin++ {
		mustAdd(t, p, origin, 0, puts(t, nonce, 1000)...)
		nonce += 1000
	}
	const block = 100_000 // so that each origin has less than 2 KB of it
	for range 2 * origins {
		ts := p.Next(all, block, nil)
		if slices.Contains(ts, large) {
			return
		}
		p.Remove(ids(ts))
	}
	t.Error("the large transaction was never offered")
}

func TestDuplicates(t *testing.T) {
	p := newPool(2, pool.Limits{Committed: 4})
	ts := puts(t, 0, 20)
	mustAdd(t, p, 0, 0, ts[0])
	wantCode(t, p.Add(ts[0], 1, 0), tx.CodeDuplicate)
	if p.Get(ts[0].ID()) != ts[0] || p.Get(ts[1].ID()) != nil {
		t.Error("Get does not return what waits")
	}
	if got, n := p.GetAll(ids(ts[:2])); n != 1 || got[0] != ts[0] || got[1] != nil {
		t.Errorf("GetAll returns %v, %d", got, n)
	}
	p.Remove(ids(ts[:2])) // the second never waited here
	for _, x := range ts[:2] {
		wantCode(t, p.Add(x, 1, 0), tx.CodeDuplicate)
	}
	for i := range ts[2:] {
		p.Remove(ids(ts[2+i : 3+i]))
	}
	wantCode(t, p.Add(ts[0], 0, 0), tx.CodeOK) // forgotten
	for _, x := range ts[16:] {
		wantCode(t, p.Add(x, 0, 0), tx.CodeDuplicate)
	}
	p.Drop(ids(ts[:1]))
	wantCode(t, p.Add(ts[0], 0, 0), tx.CodeOK) // dropped is not committed
	wantNext(t, p, 0)
}

func TestReserve(t *testing.T) {
	p := newPool(2, pool.Limits{})
	ts := puts(t, 0, 6)
	mustAdd(t, p, 0, 0, ts[0], ts[1], ts[2], ts[3])
	a, b := [32]byte{'a'}, [32]byte{'b'}
	p.Reserve(a, ids([]*tx.Transaction{ts[1], ts[2], ts[4]}))
	p.Reserve(a, ids(ts[:1])) // the name is taken
	p.Reserve(b, ids(ts[2:3]))
	wantNext(t, p, 0, 3)
	mustAdd(t, p, 1, 0, ts[4], ts[5]) // 4 comes after the block that has it
	if s := p.Stats(); s.Reserved != 3 || s.Transactions != 6 {
		t.Errorf("stats %+v, want 3 of 6 reserved", s)
	}
	p.Release(a)
	p.Release(a)
	if got := nonces(p.Next(all, all, nil)); !slices.Equal(got, []uint64{4, 5, 0, 1, 3}) {
		t.Errorf("after the release of a, Next has %d", got)
	}
	p.Remove(ids(ts[2:3]))
	p.Release(b)
	wantNext(t, p, 0, 1, 3, 4, 5)
}

func TestAges(t *testing.T) {
	p := newPool(2, pool.Limits{})
	if p.Oldest(100) != 0 || p.Overdue(100, 0, 10) != nil {
		t.Error("nothing waits, and for long")
	}
	ts := puts(t, 0, 4)
	for i, x := range ts {
		mustAdd(t, p, i%2, uint64(10+10*i), x)
	}
	p.Reserve([32]byte{1}, ids(ts[:1]))
	if got := p.Oldest(45); got != 35 {
		t.Errorf("the oldest waits for %d, want 35", got)
	}
	if got := p.Oldest(5); got != 0 {
		t.Errorf("before it came the oldest waits for %d", got)
	}
	if got := nonces(p.Overdue(45, 15, 2)); !slices.Equal(got, []uint64{0, 1}) {
		t.Errorf("two overdue are %d", got)
	}
	if got := nonces(p.Overdue(45, 15, 9)); !slices.Equal(got, []uint64{0, 1, 2}) {
		t.Errorf("overdue are %d", got)
	}
	if got := nonces(p.Expire(45, 15)); !slices.Equal(got, []uint64{1}) {
		t.Errorf("expired are %d, want those that wait longer and are in no block", got)
	}
	if p.Len() != 3 || p.Oldest(45) != 35 {
		t.Errorf("%d wait, the oldest for %d", p.Len(), p.Oldest(45))
	}
}

func TestFewerOrigins(t *testing.T) {
	p := newPool(4, pool.Limits{})
	ts := puts(t, 0, 3)
	mustAdd(t, p, 3, 0, ts[0])
	mustAdd(t, p, 1, 0, ts[1])
	p.SetOrigins(2)
	wantCode(t, p.Add(ts[2], 3, 0), tx.CodeNotValidator)
	wantNext(t, p, 1, 0)
}

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{10_000, 50_000} {
		b.Run(fmt.Sprintf("waiting=%d", n), func(b *testing.B) {
			p := newPool(4, pool.Limits{})
			for origin := range 4 {
				mustAdd(b, p, origin, 0, puts(b, uint64(origin*n), n/4)...)
			}
			const block = 1000
			b.ReportAllocs()
			for b.Loop() {
				if got := len(p.Next(block, all, nil)); got != block {
					b.Fatal(got)
				}
			}
			perTransaction(b, block)
		})
	}
}

// BenchmarkLife is what a transaction costs from arrival to commit: Add, Next,
// Reserve, Remove, Release, and the same one from three other validators.
func BenchmarkLife(b *testing.B) {
	const waiting, block = 10_000, 1000
	p := newPool(4, pool.Limits{})
	ts := puts(b, 0, 4*waiting)
	for i, x := range ts[:waiting] {
		mustAdd(b, p, i%4, 0, x)
	}
	at := waiting
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		arriving := ts[at : at+block]
		at = (at + block) % len(ts)
		for origin := range 4 {
			p.AddAll(arriving, origin, i)
		}
		got := ids(p.Next(block, all, nil))
		name := [32]byte{byte(i)}
		p.Reserve(name, got)
		p.Remove(got)
		p.Release(name)
	}
	perTransaction(b, block)
}

func perTransaction(b *testing.B, block int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(block), "ns/tx")
}
