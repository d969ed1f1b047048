package driver_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
)

// A block's time is within exec.Skew of the clocks of those who vote for it, unless others
// vouch for it. Neither "not yet" nor "too late" is a verdict.

// patient is a world whose leaders are given up after five minutes.
func patient(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, 4, 0, func(c *driver.Config, _ *genesis.Params) {
		c.Core.PreprepareTimeout, c.Core.PrepareTimeout, c.Core.CommitTimeout, c.Core.MaxTimeout = 30_000, 30_000, 30_000, 60_000
		c.Core.CensorTimeout = 60_000
	})
}

// proposeAt has the first leader propose one block to all others, with a time in Unix
// milliseconds, and stop.
func (w *world) proposeAt(at int64) *exec.Block {
	leader := w.leader(0, 0)
	leader.down = true
	b := leader.next(at, w.strangers(1, 3))
	for _, n := range w.others(leader) {
		n.hears(leader.at, driver.Proposals, w.proposal(leader, 0, &b.Header, b.Body))
	}
	return b
}

// A block whose time is too far ahead is neither voted for nor refused, until its time
// has come.
func TestBlockAheadOfTimeWaits(t *testing.T) {
	w := patient(t)
	w.run(1100 * time.Millisecond)
	at := created + w.now.Milliseconds() + exec.Skew + 1200
	want := w.proposeAt(at)
	others := w.others(w.leader(0, 0))
	w.run(1190 * time.Millisecond)
	for _, n := range others {
		if len(n.chain) > 0 || slices.ContainsFunc(n.sent, func(s driver.Send) bool { return voteIn(s.Frame, pbft.Prepare) != nil }) {
			t.Errorf("node %d votes too early", n.at)
		}
	}
	w.run(20 * time.Millisecond)
	for _, n := range others {
		if len(n.chain) != 1 || n.chain[0].Cert.Digest != want.Digest || n.chain[0].Cert.View != 0 {
			t.Errorf("node %d has %v", n.at, n.chain)
		}
	}
	w.voting(others...)
}

// A leader whose block is of the end of time has nobody look at it without end.
func TestBlockOfTheEndOfTimeIsLeftAlone(t *testing.T) {
	for _, at := range []int64{math.MaxInt64, math.MaxInt64/int64(time.Millisecond) + created} {
		w := patient(t)
		w.run(1100 * time.Millisecond)
		w.proposeAt(at)
		w.run(time.Millisecond)
		for _, n := range w.others(w.leader(0, 0)) {
			if n.driver.Deadline() <= w.now {
				t.Fatalf("at %v node %d is to be called at %v", w.now, n.at, n.driver.Deadline())
			}
		}
		w.run(time.Second)
	}
}

// A block whose time is too far behind is not voted for: nobody can let time stand
// still. The next leader's block has the time of its own clock.
func TestBlockBehindTimeGetsNoVote(t *testing.T) {
	w := newWorld(t, 4)
	w.run(time.Minute)
	began := created + w.now.Milliseconds()
	backdated := w.proposeAt(began - 3*exec.Skew)
	others := w.others(w.leader(0, 0))
	others[0].submit(1, 10, 0, put(1))
	w.run(3 * time.Second)
	if block := others[0].committed(1); block != 1 {
		t.Errorf("it is in block %d", block)
	}
	for _, n := range others {
		if d := n.chain[0]; d.Cert.Digest == backdated.Digest || d.Header.Time < began {
			t.Errorf("node %d has committed %v at %d, and it was %d", n.at, d, d.Header.Time, began)
		}
	}
	w.voting(others...)
}

// A leader whose clock stands still gets no votes, so that it cannot date receipts back.
func TestFrozenClockOfALeader(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	frozen := w.leader(0, 0)
	w.nodes[0].submit(1, 10, 0, put(1))
	w.run(100 * time.Millisecond)
	w.nodes[0].committed(1)
	for i := range 60 {
		frozen.wall -= time.Second.Milliseconds()
		w.others(frozen)[0].submit(intake.Ticket(i+2), 10, uint64(i+1), put(i))
		w.run(time.Second)
	}
	for i := range 60 {
		w.others(frozen)[0].committed(intake.Ticket(i + 2))
	}
	for _, n := range w.others(frozen) {
		last := n.view.Head.Header
		if behind := created + w.now.Milliseconds() - last.Time; behind > exec.Skew+5000 {
			t.Errorf("block %d is dated back by %v", last.Seq, time.Duration(behind)*time.Millisecond)
		}
	}
	w.voting(w.others(frozen)...)
}

// The clock of one replica is behind, so that it has to wait with a block that the others
// prepare. Their leader falls silent, and the block is carried over into another view:
// what the replica found out before is no verdict there.
func TestTooFarAheadBeforeANewView(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	late := w.others(leader, w.leader(0, 1))[0]
	late.wall = -2 * exec.Skew
	// The block is prepared, and no COMMIT arrives anywhere in this view.
	w.lost = func(_, _ int, f codec.Frame) bool {
		v := voteIn(f, pbft.Commit)
		return v != nil && v.View == 0
	}
	leader.submit(1, 10, 0, put(1))
	w.run(50 * time.Millisecond)
	if slices.ContainsFunc(late.sent, func(s driver.Send) bool { return voteIn(s.Frame, pbft.Prepare) != nil }) {
		t.Fatal("it has voted for a block that is ahead of its clock")
	}
	leader.down = true
	w.run(3 * time.Second)
	others := w.others(leader)
	for _, n := range others {
		if len(n.chain) == 0 || n.chain[0].Cert.View == 0 {
			t.Errorf("node %d has %v:\n%s", n.at, n.chain, w)
		}
	}
	w.agree()
	w.voting(others...)
}

// What a replica has voted for before a restart is not judged by time after it: it may
// have been away for long. Another's block is, until others vouch for it.
func TestTimeAwayIsNotHeldAgainstABlock(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		w := patient(t)
		w.run(1100 * time.Millisecond)
		leader := w.leader(0, 0)
		away := w.others(leader)[0]
		b := leader.next(leader.instant().Wall, w.strangers(1, 2))
		p := w.proposal(leader, 0, &b.Header, b.Body)
		for _, n := range w.others(away) {
			n.down = true
		}
		if accepted {
			away.hears(leader.at, driver.Proposals, p)
			w.run(50 * time.Millisecond)
		}
		away.wall, away.sent = 30*time.Minute.Milliseconds(), nil
		w.startAgain(away)
		for _, n := range w.others(away) {
			away.hears(n.at, driver.Proposals, codec.Reminded{})
		}
		w.run(1100 * time.Millisecond)
		away.hears(leader.at, driver.Proposals, p)
		w.run(50 * time.Millisecond)
		var check *driver.CheckBlock
		w.hold = func(_ *node, e driver.Effect) bool {
			if x, ok := e.(driver.Execute); ok {
				if c, ok := x.Task.(driver.CheckBlock); ok {
					check = &c
				}
			}
			return false
		}
		// Two others prepare it: with this replica's own vote, that is a quorum.
		for _, n := range w.others(away, leader) {
			away.hears(n.at, driver.Votes, w.vote(n, pbft.Subject{
				Phase: pbft.Prepare, Seq: 1, Digest: b.Digest, State: b.Header.State,
			}))
		}
		w.run(50 * time.Millisecond)
		said := func(phase pbft.Phase) bool {
			return slices.ContainsFunc(away.sent, func(s driver.Send) bool { return voteIn(s.Frame, phase) != nil })
		}
		if said(pbft.Commit) != accepted {
			t.Errorf("accepted before: %t; it has prepared the block: %t (check %+v)", accepted, said(pbft.Commit), check)
		}
		if accepted {
			continue
		}
		if said(pbft.Prepare) {
			t.Error("it votes for another's block of half an hour ago")
		}
		// The others commit it: this replica's clock is wrong.
		away.hears(leader.at, driver.Proposals, codec.Message{Message: w.decision(0, &b.Header, w.others(away)...)})
		w.run(50 * time.Millisecond)
		if check == nil || !check.Offer.Vouched || len(away.chain) != 1 {
			t.Errorf("a block that a quorum vouches for: %+v, %d blocks", check, len(away.chain))
		}
	}
}
