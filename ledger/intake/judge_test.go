package intake_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

const ms = time.Millisecond

// Only a front that was found valid lately ages.
func TestOldestCountsValidFronts(t *testing.T) {
	p := newPool(2, intake.Limits{})
	wantOldest(t, p, 0, 0)
	first, second := put(t, 0, 10), put(t, 1, 10)
	mustAdd(t, p, 0, 10*ms, first)
	mustAdd(t, p, 0, 20*ms, second)
	wantOldest(t, p, 100*ms, 0) // nobody knows whether it is valid
	judge(p, 100*ms, 1, 8, valid)
	wantOldest(t, p, 100*ms, 90*ms)
	judge(p, 900*ms, 1, 8, valid)
	wantOldest(t, p, 1500*ms, 1490*ms)
	wantOldest(t, p, 1900*ms, 0) // the verdict is a second old
	p.Committed(1600*ms, 2, block(1, first))
	judge(p, 1700*ms, 2, 8, valid)
	wantOldest(t, p, 1700*ms, 100*ms) // the second one is the front since then
}

// What was not known to be valid for long does not count as having been.
func TestAgeFromBeforeTheVerdictIsBounded(t *testing.T) {
	p := newPool(1, intake.Limits{})
	mustAdd(t, p, 0, 0, put(t, 0, 10))
	judge(p, 9*time.Second, 1, 8, valid)
	wantOldest(t, p, 9*time.Second, intake.Fresh)
	judge(p, 9900*ms, 1, 8, valid)
	wantOldest(t, p, 10*time.Second, 2*time.Second)
}

func TestVerdicts(t *testing.T) {
	p := newPool(2, intake.Limits{})
	ts := puts(t, 0, 3)
	mustAdd(t, p, 0, 0, ts...)
	if got := nonces(p.ToJudge(0, 8)); !slices.Equal(got, []uint64{0}) {
		t.Errorf("to judge are %d, want the front", got)
	}
	if got := p.ToJudge(200*ms, 8); len(got) > 0 {
		t.Errorf("to judge are %d again, before a quarter of a second", nonces(got))
	}
	// A disk's error is no verdict.
	if bad := judge(p, 300*ms, 1, 8, func(*tx.Transaction) error { return errors.New("disk") }); len(bad) > 0 || p.Len() != 3 {
		t.Errorf("%d left for a disk's error", len(bad))
	}
	bad := judge(p, 600*ms, 1, 8, invalid)
	if len(bad) != 1 || bad[0].ID != ts[0].ID() || p.Get(ts[0].ID()) != nil {
		t.Errorf("%v left, want the front", bad)
	}
	// Where junk was, more is looked at.
	if got := nonces(p.ToJudge(600*ms, 8)); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("to judge are %d", got)
	}
	if bad := p.Judged(600*ms, 1, []intake.Verdict{{ID: ts[0].ID()}}); len(bad) > 0 {
		t.Errorf("a verdict on what is gone: %v", bad)
	}
	wantOldest(t, p, 600*ms, 0)
	if got := p.ToJudge(time.Hour, 1); len(got) != 1 {
		t.Errorf("%d to judge, at most 1", len(got))
	}
}

// An owner's transactions depend on each other: what is not valid while the one before it
// waits or is in flight is looked at again, and does not stand in the way.
func TestSuccessorsAreJudgedAgain(t *testing.T) {
	p := newPool(1, intake.Limits{})
	before, after, other := put(t, 4, 10), put(t, 5, 10), put(t, 9, 10)
	mustAdd(t, p, 0, 0, before, after, other)
	p.InFlight(0, []intake.Block{block(1, before)})
	onlyAfter := func(x *tx.Transaction) error {
		if x == after {
			return invalid(x)
		}
		return nil
	}
	if bad := judge(p, 0, 1, 8, onlyAfter); len(bad) > 0 {
		t.Fatal("a successor was dropped while the one before it was in flight")
	}
	wantNext(t, p, 9, 5)
	// The verdict of the state before the block arrives after it.
	asked := p.ToJudge(300*ms, 8)
	p.Committed(310*ms, 2, block(1, before))
	verdicts := make([]intake.Verdict, len(asked))
	for i, x := range asked {
		verdicts[i] = intake.Verdict{ID: x.ID(), Err: onlyAfter(x)}
	}
	if bad := p.Judged(320*ms, 1, verdicts); len(bad) > 0 {
		t.Error("a successor was dropped for what the state was before it")
	}
	p.Committed(600*ms, 3, block(2, other))
	if bad := judge(p, 600*ms, 3, 8, onlyAfter); len(bad) != 1 {
		t.Error("junk stays when there is nothing before it")
	}
}

// What has no room in the ledger waits for it, behind what may have, and nobody is
// suspected for it.
func TestGrowthIsWaitedFor(t *testing.T) {
	p := newPool(1, intake.Limits{})
	large, other := put(t, 4, 10), put(t, 9, 10)
	mustAdd(t, p, 0, 0, large, other)
	full := func(x *tx.Transaction) error {
		if x == large {
			return tx.Reject(tx.CodeGrowth, "")
		}
		return nil
	}
	if bad := judge(p, 0, 1, 8, full); len(bad) > 0 {
		t.Fatal("it was dropped")
	}
	wantNext(t, p, 9, 4)
	p.Committed(100*ms, 2, block(1, other))
	if bad := judge(p, time.Second, 2, 8, full); len(bad) > 0 {
		t.Fatal("it was dropped as the only one that waits")
	}
	wantOldest(t, p, time.Second, 0)
	judge(p, 2*time.Second, 2, 8, valid)
	wantNext(t, p, 4)
}

func TestUsedNoncesLeave(t *testing.T) {
	p := newPool(1, intake.Limits{})
	mustAdd(t, p, 0, 0, puts(t, 4, 2)...)
	bad := judge(p, 0, 1, 8, func(*tx.Transaction) error { return tx.Reject(tx.CodeNonceUsed, "") })
	bad = append(bad, judge(p, 0, 1, 8, func(*tx.Transaction) error { return tx.Reject(tx.CodeNonceUsed, "") })...)
	if len(bad) != 2 || p.Len() != 0 {
		t.Errorf("%d left, want both", len(bad))
	}
}

// While one of those who race for a slot or a name is in flight, the other one does not
// age; when it has lost, it leaves; when the block was dropped, it goes on ageing.
func TestRacesDoNotAge(t *testing.T) {
	for _, c := range []struct {
		name         string
		loser, rival *tx.Transaction
	}{
		{"one nonce", put(t, 3, 10), put(t, 3, 20)},
		{"one name", claim(t, key(1), 0, "photos"), claim(t, key(2), 0, "photos")},
		{"a name that another one accepts", claim(t, key(1), 1, "photos"), make1(t, key(2), 0, tx.NameAccept{Name: "photos"})},
		{"a name that its holder changes", make1(t, key(2), 0, tx.NameAccept{Name: "photos"}), claim(t, key(1), 1, "photos")},
		{"a name that is offered", make1(t, key(1), 0, tx.NameTransfer{Name: "photos", To: key(3)}), claim(t, key(1), 1, "photos")},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPool(2, intake.Limits{})
			mustAdd(t, p, 0, 0, c.loser)
			judge(p, 0, 1, 8, valid)
			p.InFlight(100*ms, []intake.Block{block(1, c.rival)})
			judge(p, 500*ms, 1, 8, valid)
			wantOldest(t, p, 900*ms, 0)
			p.InFlight(1000*ms, nil) // the view is dead
			judge(p, 1000*ms, 1, 8, valid)
			wantOldest(t, p, 1100*ms, 200*ms)
			// A verdict of the state before the commit does not count after it.
			p.InFlight(1100*ms, []intake.Block{block(2, c.rival)})
			lost := p.Committed(1100*ms, 2, block(2, c.rival))
			wantOldest(t, p, 1100*ms, 0)
			bad := judge(p, 2000*ms, 2, 8, invalid)
			if len(lost)+len(bad) != 1 || p.Len() != 0 {
				t.Errorf("%d lost and %d were found invalid, %d wait", len(lost), len(bad), p.Len())
			}
		})
	}
}

// What an honest leader can order is what it is measured against: not junk, and not what
// nobody has judged.
func TestWaiting(t *testing.T) {
	p := newPool(3, intake.Limits{})
	mustAdd(t, p, 0, 0, puts(t, 0, 10)...)
	mustAdd(t, p, 1, 0, puts(t, 100, 50)...)
	want := func(now time.Duration, want int) {
		t.Helper()
		if got := p.Waiting(now); got != want {
			t.Errorf("%d wait for the leader, want %d", got, want)
		}
	}
	want(0, 0)
	judge(p, 0, 1, 8, func(x *tx.Transaction) error {
		if x.Nonce >= 100 {
			return invalid(x)
		}
		return nil
	})
	want(0, 10)
	p.InFlight(0, []intake.Block{block(1, puts(t, 0, 4)...)})
	want(900*ms, 6)
	want(time.Second, 0)
	judge(p, time.Second, 1, 8, valid)
	want(time.Second, 6+49)
	judge(p, 1300*ms, 1, 8, invalid)
	want(1300*ms, 0) // where a front is junk, the rest may be
}

// What waited for the one before it begins to be of no age when it is the front again.
func TestPostponedFrontsStartAnew(t *testing.T) {
	p := newPool(1, intake.Limits{})
	before, after, behind := put(t, 4, 10), put(t, 5, 10), put(t, 9, 10)
	p.InFlight(0, []intake.Block{block(1, before)})
	mustAdd(t, p, 0, 0, after, behind)
	judge(p, 800*ms, 1, 8, invalid)
	// What is behind it is judged at once, and in larger numbers.
	if got := nonces(p.ToJudge(800*ms, 8)); !slices.Equal(got, []uint64{9}) {
		t.Errorf("to judge are %d", got)
	}
	p.Drop(900*ms, ids([]*tx.Transaction{behind}))
	judge(p, 1100*ms, 1, 8, valid)
	wantOldest(t, p, 1100*ms, 200*ms)
}

// A verdict counts for what it was found on, however late it comes.
func TestLateVerdicts(t *testing.T) {
	p := newPool(1, intake.Limits{})
	mine, rival := claim(t, key(1), 5, "photos"), claim(t, key(2), 0, "photos")
	mustAdd(t, p, 0, 0, mine)
	p.ToJudge(0, 8)
	p.Committed(0, 7, block(1, rival))
	p.Judged(0, 6, []intake.Verdict{{ID: mine.ID()}})
	wantOldest(t, p, 100*ms, 0)
	if bad := p.Judged(0, 6, []intake.Verdict{{ID: mine.ID(), Err: invalid(mine)}}); len(bad) > 0 {
		t.Error("a transaction left for what the state was before its name was decided")
	}
	p.Judged(100*ms, 7, []intake.Verdict{{ID: mine.ID()}})
	wantOldest(t, p, 100*ms, 100*ms)
	// It leaves and comes again: what was found before is not of this one.
	p.Drop(100*ms, ids([]*tx.Transaction{mine}))
	p.Committed(100*ms, 9, block(2))
	mustAdd(t, p, 0, 100*ms, mine)
	if bad := p.Judged(100*ms, 8, []intake.Verdict{{ID: mine.ID(), Err: invalid(mine)}}); len(bad) > 0 {
		t.Error("a transaction left for a verdict from before it came")
	}
}

// A commit ends the pause of what raced with the block, before anybody says what is in
// flight now.
func TestCommitsEndPauses(t *testing.T) {
	p := newPool(1, intake.Limits{})
	first, second := claim(t, key(1), 0, "photos"), claim(t, key(1), 1, "photos")
	p.InFlight(0, []intake.Block{block(1, first)})
	mustAdd(t, p, 0, 0, second)
	p.Committed(300*ms, 2, block(1, first))
	judge(p, 500*ms, 2, 8, valid)
	wantOldest(t, p, 500*ms, 200*ms)
}
