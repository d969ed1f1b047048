package driver_test

import (
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
)

// A validator takes its place anew, and a copy of its disk from then is put back, of
// before the renewal is committed or later. The renewal in that log is older than what the
// copy lacks: it takes another one until it votes, whether or not it is started again
// meanwhile.
func TestRenewalBeforeABackupDoesNotCount(t *testing.T) {
	for _, c := range []struct{ again, recovering bool }{{}, {again: true}, {recovering: true}, {true, true}} {
		w := newWorld(t, 4)
		w.run(1100 * time.Millisecond)
		w.nodes[0].submit(1, 10, 0, put(1))
		w.run(200 * time.Millisecond)
		old := w.others(w.leader(0, 0), w.leader(1, 0))[0]
		away := w.others(old, w.leader(0, 0), w.leader(1, 0))[0]
		others := w.others(old, away)
		old.stop()
		old.loseLog()
		old.start(old.recovered())
		old.begin()
		if c.recovering {
			w.until("it has asked for its place", time.Minute, func() bool { return len(old.renewing()) > 0 })
		} else {
			w.until("it votes again", time.Minute, func() bool { return old.view.Core != nil && !old.view.Recovering })
			w.run(time.Second)
		}
		copied := old.disk
		copied.records, copied.heads, copied.ids = slices.Clone(copied.records), slices.Clone(copied.heads), slices.Clone(copied.ids)
		chain, bodies := len(old.chain), len(old.bodies)
		w.until("it votes again", time.Minute, func() bool { return old.view.Core != nil && !old.view.Recovering })
		w.run(time.Second)
		away.down = true // so that its votes are needed
		for i := range 5 {
			others[0].submit(intake.Ticket(i+2), 10, uint64(i+1), put(i))
			w.run(100 * time.Millisecond)
			others[0].committed(intake.Ticket(i + 2))
		}
		away.down = false
		away.sources(others[0].at, others[1].at)
		old.stop()
		copied.lives = old.disk.lives
		old.disk, old.chain, old.bodies, old.sent = copied, old.chain[:chain], old.bodies[:bodies], nil
		w.lost = func(from, _ int, f codec.Frame) bool {
			_, passes := f.(codec.Transactions)
			return from == old.at && passes
		}
		old.start(old.recovered())
		old.begin()
		old.sources(others[0].at, others[1].at)
		w.run(5 * time.Second)
		if c.again {
			w.startAgain(old)
			old.sources(others[0].at, others[1].at)
			w.run(5 * time.Second)
		}
		if !old.disowned || !old.view.Recovering || len(old.votes()) > 0 {
			t.Fatalf("disowned %v, it has sent %d votes:\n%s", old.disowned, len(old.votes()), w)
		}
		w.lost = nil
		w.until("it votes again", time.Minute, func() bool { return old.view.Core != nil && !old.view.Recovering })
		if old.view.Core.Epoch != 2 {
			t.Errorf("it votes in epoch %d", old.view.Core.Epoch)
		}
		w.agree()
	}
}

// The copy is of the time when the renewal had been asked for, and nothing was committed
// since it was: only what the others show tells that there have been votes in the epoch
// that it began.
func TestOthersShowADiskOfBeforeARenewal(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	w.nodes[0].submit(1, 10, 0, put(1))
	w.run(200 * time.Millisecond)
	old := w.others(w.leader(0, 0), w.leader(1, 0))[0]
	others := w.others(old)
	w.latency = 2 * time.Millisecond
	old.stop()
	old.loseLog()
	old.start(old.recovered())
	old.begin()
	w.until("it has asked for its place", time.Minute, func() bool { return len(old.renewing()) > 0 })
	putBack := old.backup()
	if !old.disk.lost || len(old.chain) > 1 {
		t.Fatalf("its place is taken anew already:\n%s", w)
	}
	w.until("it votes again", time.Minute, func() bool { return old.view.Core != nil && !old.view.Recovering })
	w.run(time.Second)
	w.lost = func(_, _ int, f codec.Frame) bool { return voteIn(f, pbft.Commit) != nil }
	others[0].submit(2, 10, 1, put(2))
	w.until("it has signed what its copy does not know", 10*time.Second, func() bool {
		return slices.ContainsFunc(old.votes(), func(v *pbft.Vote) bool { return v.Epoch == 1 && v.Seq == 3 })
	})
	putBack()
	old.start(old.recovered())
	old.begin()
	old.sources(others[0].at, others[1].at)
	w.run(2 * time.Second)
	if !old.disowned || !old.view.Recovering || len(old.votes()) > 0 {
		t.Fatalf("disowned %v, it has sent %d votes:\n%s", old.disowned, len(old.votes()), w)
	}
	w.lost = nil
	w.until("it votes again", time.Minute, func() bool { return old.view.Core != nil && !old.view.Recovering })
	w.agree()
}
