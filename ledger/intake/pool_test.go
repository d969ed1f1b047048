package intake_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

func TestOriginsTakeTurns(t *testing.T) {
	p := newPool(3, intake.Limits{})
	for origin := range 3 {
		for i := range 3 {
			mustAdd(t, p, origin, 0, put(t, uint64(10*origin+i), 3000)) // one fits in a quantum
		}
	}
	wantNext(t, p, 0, 10, 20, 1, 11, 21, 2, 12, 22)
	// The next block begins with the next origin.
	if got, want := nonces(p.Next(4, all)), []uint64{10, 20, 0, 11}; !slices.Equal(got, want) {
		t.Errorf("Next has %d, want %d", got, want)
	}
}

func TestNextKeepsLimitsAndOrder(t *testing.T) {
	p := newPool(1, intake.Limits{})
	small, large, last := put(t, 1, 10), put(t, 2, 1000), put(t, 3, 10)
	mustAdd(t, p, 0, 0, small, large, last)
	if got := nonces(p.Next(2, all)); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("two transactions at most: %d", got)
	}
	// The last one would fit, but must not overtake.
	if got := nonces(p.Next(all, tx.EncodedSize(large))); !slices.Equal(got, []uint64{1}) {
		t.Errorf("no room for the large one: %d", got)
	}
	// Where the large one never fits, it must not be in the way.
	if got := nonces(p.Next(all, tx.EncodedSize(large)-1)); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("never room for the large one: %d", got)
	}
	if got := p.Next(all, tx.EncodedSize(small)-1); len(got) > 0 {
		t.Errorf("room for none: %d", nonces(got))
	}
	if got := p.Next(0, all); len(got) > 0 {
		t.Errorf("none asked for: %d", nonces(got))
	}
	if got := intake.NewPool(intake.Limits{}).Next(all, all); len(got) > 0 {
		t.Errorf("without origins: %d", nonces(got))
	}
}

func TestFloodTakesOnlyItsShare(t *testing.T) {
	large := put(t, 0, tx.MaxValue)
	p := newPool(4, intake.Limits{Bytes: 4 * 3 * cost(large)})
	for i := range uint64(3) {
		mustAdd(t, p, 3, 0, put(t, i, tx.MaxValue-8))
	}
	wantCode(t, p.Add(0, put(t, 3, tx.MaxValue), 3), tx.CodeQueueFull)
	for i := range uint64(3) {
		mustAdd(t, p, 0, 0, put(t, 10+i, tx.MaxValue-8))
	}
	wantCode(t, p.Add(0, put(t, 2002, 10), 4), tx.CodeNotValidator)
	wantCode(t, p.Add(0, put(t, 2002, 10), -1), tx.CodeNotValidator)
	if s := p.Stats(); s.Transactions != 6 || s.Origins[0] != s.Origins[3] || s.Origins[1] != 0 || s.Bytes != s.Origins[0]+s.Origins[3] {
		t.Errorf("stats %+v", s)
	}
}

// Room is counted in memory: with the smallest of transactions an origin has no more of
// it than with the largest.
func TestSmallTransactionsTakeTheirMemory(t *testing.T) {
	p := newPool(1, intake.Limits{Bytes: 1 << 20})
	n := 0
	for p.Add(0, put(t, uint64(n), 0), 0) == nil {
		n++
	}
	if n > 1<<20/intake.Overhead {
		t.Errorf("%d transactions wait in 1 MiB", n)
	}
}

// An origin with large transactions gets no more of a block than the others, and
// however small its part of each block is, its turn comes.
func TestTurnsAreCountedInBytes(t *testing.T) {
	p := newPool(2, intake.Limits{})
	for i := range 100 {
		mustAdd(t, p, 0, 0, put(t, uint64(i), 10_000))
		mustAdd(t, p, 1, 0, puts(t, uint64(1000+100*i), 100)...)
	}
	var bytes [2]int
	for _, x := range p.Next(all, 500_000) {
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
	p := newPool(origins, intake.Limits{Bytes: 256 << 20})
	large := put(t, 1_000_000, tx.MaxValue)
	mustAdd(t, p, 0, 0, large)
	nonce := uint64(0)
	for origin := 1; origin < origins; origin++ {
		mustAdd(t, p, origin, 0, puts(t, nonce, 1000)...)
		nonce += 1000
	}
	const size = 100_000 // so that each origin has less than 2 KB of it
	for seq := range uint64(2 * origins) {
		ts := p.Next(all, size)
		if slices.Contains(ts, large) {
			return
		}
		p.Committed(0, seq, intake.Block{Transactions: ts})
	}
	t.Error("the large transaction was never offered")
}

func TestDuplicates(t *testing.T) {
	p := newPool(2, intake.Limits{Committed: 4})
	ts := puts(t, 0, 20)
	mustAdd(t, p, 0, 0, ts[0])
	wantCode(t, p.Add(0, ts[0], 0), tx.CodeDuplicate)
	if p.Get(ts[0].ID()) != ts[0] || p.Get(ts[1].ID()) != nil {
		t.Error("Get does not return what waits")
	}
	if got, n := p.Lookup(ids(ts[:2])); n != 1 || got[0] != ts[0] || got[1] != nil {
		t.Errorf("Lookup returns %v, %d", got, n)
	}
	p.Committed(0, 1, block(1, ts[:2]...)) // the second never waited here
	for _, x := range ts[:2] {
		wantCode(t, p.Add(0, x, 1), tx.CodeDuplicate)
	}
	for i, x := range ts[2:] {
		p.Committed(0, uint64(i), block(2, x))
	}
	wantCode(t, p.Add(0, ts[0], 0), tx.CodeOK) // forgotten
	for _, x := range ts[16:] {
		wantCode(t, p.Add(0, x, 0), tx.CodeDuplicate)
	}
	p.Drop(0, ids(ts[:1]))
	wantCode(t, p.Add(0, ts[0], 0), tx.CodeOK) // dropped is not committed
	wantNext(t, p, 0)
}

// Two transactions want one slot: the second is refused where it comes second, and
// whichever is committed, the other one is gone.
func TestOneSlotOneTransaction(t *testing.T) {
	here, elsewhere := put(t, 7, 10), put(t, 7, 20)
	p := newPool(2, intake.Limits{})
	mustAdd(t, p, 0, 0, here)
	for origin := range 2 {
		wantCode(t, p.Add(0, elsewhere, origin), tx.CodeNonceUsed)
	}
	p.InFlight(0, []intake.Block{block(1, elsewhere)})
	wantNext(t, p) // its slot is in flight
	if lost := p.Committed(0, 1, block(1, elsewhere)); !slices.Equal(lost, []*tx.Transaction{here}) {
		t.Errorf("%d lost their slot", nonces(lost))
	}
	if p.Len() != 0 {
		t.Error("the loser waits still")
	}
}

// What a faulty validator catches first waits in its own origin's queue all the same.
func TestNobodyCatchesOthersTransactions(t *testing.T) {
	p := newPool(2, intake.Limits{})
	caught := put(t, 1000, 10)
	mustAdd(t, p, 1, 0, puts(t, 0, 900)...)
	mustAdd(t, p, 1, 0, caught)
	wantCode(t, p.Add(0, caught, 0), tx.CodeDuplicate)
	ts := p.Next(all, 2*intake.Quantum)
	if !slices.Contains(ts, caught) {
		t.Error("a transaction waits behind the flood of who passed it on first")
	}
	seen := map[tx.ID]bool{}
	for _, x := range p.Next(all, all) {
		if seen[x.ID()] {
			t.Fatalf("%d is in the block twice", x.Nonce)
		}
		seen[x.ID()] = true
	}
	p.Drop(0, ids([]*tx.Transaction{caught}))
	if s := p.Stats(); s.Origins[0] != 0 || s.Transactions != 900 || s.Ready != 900 {
		t.Errorf("stats %+v", s)
	}
}

func TestInFlight(t *testing.T) {
	p := newPool(2, intake.Limits{})
	ts := puts(t, 0, 6)
	mustAdd(t, p, 0, 0, ts[0], ts[1], ts[2], ts[3])
	a, b := block(1, ts[1], ts[2], ts[4]), block(2, ts[2])
	p.InFlight(0, []intake.Block{a, b})
	p.InFlight(0, []intake.Block{b, a}) // said again
	wantNext(t, p, 0, 3)
	mustAdd(t, p, 1, 0, ts[4], ts[5]) // 4 comes after the block that has it
	if s := p.Stats(); s.Ready != 3 || s.Transactions != 6 {
		t.Errorf("stats %+v, want 3 of 6 ready", s)
	}
	p.InFlight(0, []intake.Block{b})
	if got := nonces(p.Next(all, all)); !slices.Equal(got, []uint64{4, 5, 0, 1, 3}) {
		t.Errorf("when the first block is dropped, Next has %d", got)
	}
	p.Committed(0, 1, b)
	p.InFlight(0, nil)
	wantNext(t, p, 0, 1, 3, 4, 5)
}

// A dead view's blocks return to their place in one walk, however many there are.
func TestManyReturnInOrder(t *testing.T) {
	p := newPool(2, intake.Limits{})
	ts := puts(t, 0, 4000)
	for i, x := range ts {
		mustAdd(t, p, i%2, 0, x)
	}
	var blocks []intake.Block
	for i := range 8 {
		blocks = append(blocks, block(byte(i), ts[400*i:400*(i+1)]...))
	}
	p.InFlight(0, blocks)
	p.InFlight(0, nil)
	var of [2][]uint64
	for _, x := range p.Next(all, all) {
		of[x.Nonce%2] = append(of[x.Nonce%2], x.Nonce)
	}
	if len(of[0])+len(of[1]) != len(ts) || !slices.IsSorted(of[0]) || !slices.IsSorted(of[1]) {
		t.Error("what was in flight did not return to where it was")
	}
}

func TestOverdueAndExpired(t *testing.T) {
	p := newPool(2, intake.Limits{})
	ts := puts(t, 0, 6)
	for i, x := range ts {
		mustAdd(t, p, i%2, time.Duration(10+10*i), x)
	}
	if got := nonces(p.Overdue(65, 15, 0, 9)); !slices.Equal(got, []uint64{1, 0, 2, 4}) {
		t.Errorf("overdue are %d, want the other's front and all own that are as old", got)
	}
	if got := nonces(p.Overdue(65, 15, 0, 1)); !slices.Equal(got, []uint64{1, 0}) {
		t.Errorf("overdue are %d, want the other's front and one own beside it", got)
	}
	if got := nonces(p.Overdue(65, 15, -1, 9)); !slices.Equal(got, []uint64{0, 1}) {
		t.Errorf("overdue at a stranger's are %d, want the fronts", got)
	}
	p.InFlight(65, []intake.Block{block(1, ts[0])})
	if got := nonces(p.Expire(65, 15)); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("expired are %d, want those that wait longer and are in no block", got)
	}
	if p.Len() != 3 {
		t.Errorf("%d wait", p.Len())
	}
}

// Validators come and go: what waits stays with its own, what the leaver passed on is
// still ordered, and shares are what they are for the new number.
func TestOtherOrigins(t *testing.T) {
	ks := keys(7)
	p := intake.NewPool(intake.Limits{Bytes: 4 << 20})
	p.SetOrigins(0, ks[:4])
	mustAdd(t, p, 3, 0, puts(t, 0, 3)...)
	mustAdd(t, p, 1, 0, puts(t, 10, 3)...)
	flying := put(t, 20, 10)
	mustAdd(t, p, 3, 0, flying)
	p.InFlight(0, []intake.Block{block(1, flying)})
	// The last one leaves, another one comes, and the numbers change.
	now := []sig.PublicKey{ks[1], ks[0], ks[2], ks[4]}
	if dropped := p.SetOrigins(0, now); len(dropped) > 0 {
		t.Errorf("%d were dropped", nonces(dropped))
	}
	wantCode(t, p.Add(0, put(t, 30, 10), 4), tx.CodeNotValidator)
	p.InFlight(0, nil)
	got := nonces(p.Next(all, all))
	slices.Sort(got)
	if want := []uint64{0, 1, 2, 10, 11, 12, 20}; !slices.Equal(got, want) {
		t.Errorf("Next has %d, want %d", got, want)
	}
	if s := p.Stats(); s.Origins[0] != 3*cost(flying) || s.Bytes != 7*cost(flying) {
		t.Errorf("stats %+v: what waits did not stay with its own", s)
	}
	// An origin that has filled its share has a smaller one among more validators.
	for i := uint64(1000); ; i++ {
		if p.Add(0, put(t, i, 5000), 0) != nil {
			break
		}
	}
	dropped := p.SetOrigins(0, append(now, ks[3], ks[5], ks[6]))
	if s := p.Stats(); len(dropped) == 0 || s.Origins[0] > 4<<20/7 || s.Origins[0] < 4<<20/7-6000 {
		t.Errorf("%d were dropped, stats %+v", len(dropped), s)
	}
	if lowest := dropped[len(dropped)-1].Nonce; p.Get(dropped[0].ID()) != nil || dropped[0].Nonce != lowest+uint64(len(dropped))-1 || lowest < 1100 {
		t.Errorf("dropped are %d, want the youngest", nonces(dropped))
	}
	if p.SetOrigins(0, nil); p.Len() != 0 || p.Stats().Bytes != 0 {
		t.Errorf("without origins %d wait", p.Len())
	}
}

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{10_000, 30_000} {
		b.Run(fmt.Sprintf("waiting=%d", n), func(b *testing.B) {
			p := newPool(4, intake.Limits{})
			for origin := range 4 {
				mustAdd(b, p, origin, 0, puts(b, uint64(origin*n), n/4)...)
			}
			const size = 1000
			b.ReportAllocs()
			for b.Loop() {
				if got := len(p.Next(size, all)); got != size {
					b.Fatal(got)
				}
			}
			perTransaction(b, size)
		})
	}
}

// BenchmarkLife is what a transaction costs from arrival to commit: Add, Next, InFlight,
// Committed, and the same one from three other validators.
func BenchmarkLife(b *testing.B) {
	const waiting, size = 10_000, 1000
	p := newPool(4, intake.Limits{})
	ts := puts(b, 0, 4*waiting)
	for i, x := range ts[:waiting] {
		mustAdd(b, p, i%4, 0, x)
	}
	at := waiting
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		arriving := ts[at : at+size]
		at = (at + size) % len(ts)
		for origin := range 4 {
			for _, x := range arriving {
				_ = p.Add(time.Duration(i), x, origin)
			}
		}
		f := block(byte(i), p.Next(size, all)...)
		p.InFlight(time.Duration(i), []intake.Block{f})
		p.ToJudge(time.Duration(i), 64)
		p.Committed(time.Duration(i), i, f)
	}
	perTransaction(b, size)
}

func perTransaction(b *testing.B, size int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/tx")
}
