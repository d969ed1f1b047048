package driver_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
)

// A job stands on a state that is replaced by one of others meanwhile, and cannot read it
// any more. That is nothing to give up for.
func TestReplacedStateNeedNotBeRead(t *testing.T) {
	for _, before := range []bool{true, false} {
		w := newWorldOf(t, 4, 1, func(c *driver.Config, _ *genesis.Params) { c.TransferAfter = 2 })
		w.states = true
		w.run(1100 * time.Millisecond)
		for i := range 5 {
			w.nodes[0].submit(intake.Ticket(i+1), 10, uint64(i), put(i))
			w.run(100 * time.Millisecond)
		}
		follower := w.nodes[4]
		w.hold = func(n *node, e driver.Effect) bool {
			switch e.(type) {
			case driver.Judge, driver.Install:
				return n == follower
			}
			return false
		}
		follower.submit(9, 11, 0, put(9))
		w.run(100 * time.Millisecond)
		follower.sources(0)
		w.run(3 * time.Second)
		var unread driver.Judged
		var installed driver.Installed
		for _, e := range follower.waiting {
			switch e := e.(type) {
			case driver.Judge:
				unread = driver.Judged{Job: e.Job, Err: errors.New("the state is gone")}
			case driver.Install:
				head := w.nodes[0].disk.head()
				verified, _ := follower.judge.Verify(head.Decision)
				installed = driver.Installed{Job: e.Job, Head: head, Verified: verified[0]}
			}
		}
		if unread.Job == 0 || installed.Job == 0 {
			t.Fatalf("a judge and an install are to wait: %+v", follower.waiting)
		}
		if before {
			follower.take(unread)
			follower.take(installed)
		} else {
			follower.take(installed)
			follower.take(unread)
		}
		w.run(time.Second)
		if follower.halted != nil || follower.view.Head.Header.Seq != 5 {
			t.Errorf("it is at block %d, halted: %v", follower.view.Head.Header.Seq, follower.halted)
		}
	}
}

// A follower believes no source that it has handed a transaction in: what counts is a
// block. It asks others too, and says that it does not know when it has tried them.
func TestFollowerBelievesNoOK(t *testing.T) {
	w := newWorldOf(t, 4, 1, nil)
	follower := w.nodes[4]
	names := []string{"0", "1", "2", "3"}
	follower.sources(0, 1, 2, 3)
	w.run(100 * time.Millisecond)
	follower.submit(1, 10, 0, put(1))
	w.run(20 * time.Second)
	asked := map[string]bool{}
	for _, a := range follower.asked {
		if _, ok := a.Request.(follow.Submit); ok {
			asked[a.Source] = true
		}
	}
	if len(asked) != len(names) {
		t.Errorf("each source says OK, and %d of %d were asked: %v", len(asked), len(names), asked)
	}
	if a, ok := follower.answers[1]; ok {
		t.Errorf("the client is told %+v, and no block was seen", a)
	}
	w.run(follow.HandOverExpiry)
	if a, ok := follower.answers[1]; !ok || !errors.Is(a.Err, driver.ErrUndecided) {
		t.Errorf("in the end the client is told %+v, %t", a, ok)
	}
}

// passedByState returns a validator that has lost its log, whose renewal is committed in a
// block that it has not seen, and what installs the state of the last block there, with a
// certificate.
func passedByState(t *testing.T) (w *world, lost *node, head *driver.Head, install func(*pbft.Decision)) {
	t.Helper()
	w = newWorldOf(t, 4, 0, func(c *driver.Config, _ *genesis.Params) { c.TransferAfter = 2 })
	w.states = true
	w.run(1100 * time.Millisecond)
	w.nodes[0].submit(1, 10, 0, put(1))
	w.run(200 * time.Millisecond)
	lost = w.others(w.leader(0, 0), w.leader(1, 0))[0]
	others := w.others(lost)
	lost.stop()
	lost.loseLog()
	lost.start(lost.recovered())
	lost.begin()
	w.hold = func(n *node, e driver.Effect) bool {
		_, install := e.(driver.Install)
		return install && n == lost
	}
	w.lost = func(_, to int, _ codec.Frame) bool { return to == lost.at }
	w.until("its renewal is committed", 20*time.Second, func() bool { return others[0].view.Head.Epoch == 1 })
	seat := driver.Seat{Since: others[0].view.Head.Start.Seq, By: lost.renewing()[0]}
	for i := range 4 {
		others[0].submit(intake.Ticket(i+2), 10, uint64(i+1), put(i+2))
		w.run(time.Second)
	}
	w.lost = nil
	lost.sources(others[0].at, others[1].at, others[2].at)
	w.until("a state is to be installed", 10*time.Second, func() bool { return len(lost.waiting) > 0 })
	asked, ok := lost.waiting[0].(driver.Install)
	if !ok {
		t.Fatalf("%T is to be done", lost.waiting[0])
	}
	head = others[0].disk.head()
	return w, lost, head, func(d *pbft.Decision) {
		behind := *head
		behind.Decision = d
		verified, _ := lost.judge.Verify(d)
		lost.take(driver.Installed{Job: asked.Job, Head: &behind, Verified: verified[0], Seat: seat})
	}
}

// A validator that has lost its log gets behind the block that has its renewal by a state,
// and never sees that block. The state says which renewal it was: the validator votes again
// without another, of which it has few.
func TestRenewalPassedByAStateCounts(t *testing.T) {
	w, lost, head, install := passedByState(t)
	install(head.Decision)
	w.until("it votes again", 10*time.Second, func() bool { return lost.view.Core != nil && !lost.view.Recovering })
	if made := lost.renewing(); len(made) != 1 || lost.view.Core.Epoch != 1 {
		t.Errorf("it votes in epoch %d, and made %d renewals", lost.view.Core.Epoch, len(made))
	}
}

// If the block of that state has the validator's own signature, it has voted behind the
// renewal, and its log is a copy of before.
func TestStateShowsALogOfBeforeARenewal(t *testing.T) {
	w, lost, head, install := passedByState(t)
	d := *head.Decision
	self, _ := w.genesis.Set().Replica(key(lost.at).Public())
	d.Cert.Sigs = append(slices.DeleteFunc(slices.Clone(d.Cert.Sigs), func(s pbft.Signed) bool { return s.Replica >= self }),
		pbft.Signed{Replica: self, Sig: pbft.Signature(key(lost.at).Sign(d.Cert.Statement(w.genesis.ID())))})
	for _, s := range head.Decision.Cert.Sigs {
		if s.Replica > self {
			d.Cert.Sigs = append(d.Cert.Sigs, s)
		}
	}
	install(&d)
	w.until("it is an old log", 10*time.Second, func() bool { return lost.disowned })
	for _, v := range lost.votes() {
		if v.Epoch == 1 {
			t.Errorf("it has voted: %v", v)
		}
	}
	w.until("it votes again", time.Minute, func() bool { return lost.view.Core != nil && !lost.view.Recovering })
	if made := lost.renewing(); len(made) != 2 || lost.view.Core.Epoch != 2 {
		t.Errorf("it votes in epoch %d, and made %d renewals", lost.view.Core.Epoch, len(made))
	}
}
