package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
)

// showsOnly has a node say nothing and give nothing, but show its head to who asks.
func (n *node) showsOnly() {
	w := n.w
	w.lost = func(from, _ int, _ codec.Frame) bool { return from == n.at }
	w.hold = func(_ *node, e driver.Effect) bool {
		a, ok := e.(driver.Ask)
		if !ok || int(a.Source[0]-'0') != n.at {
			return false
		}
		_, head := a.Request.(follow.Head)
		return !head
	}
}

// One validator, the faulty one, has a certificate that nobody else has: it has withheld
// its COMMIT while another was away. It shows it to that one when it is back, and gives the
// block to nobody. The three others are a quorum, and go on.
func TestCertificateThatIsHiddenHoldsNobodyUp(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	faulty, back := w.others(leader)[0], w.others(leader)[1]
	other := w.others(leader)[2]
	leader.submit(1, 10, 0, put(1))
	w.run(200 * time.Millisecond)
	leader.committed(1)
	back.stop()
	w.lost = func(from, _ int, f codec.Frame) bool { return from == faulty.at && voteIn(f, pbft.Commit) != nil }
	leader.submit(2, 10, 1, put(2))
	w.until("it commits alone", time.Second, func() bool { return len(faulty.chain) == 2 })
	faulty.showsOnly()
	w.startAgain(back)
	back.sources(faulty.at, leader.at, other.at)
	w.run(30 * time.Second)
	leader.submit(3, 10, 2, put(3))
	w.run(30 * time.Second)
	w.voting(leader, other, back)
	leader.committed(3)
	w.agree()
}

// If the one who is back has voted for the block, its own log gives it: the certificate is
// all that it lacks, and that is shown. Nobody waits for who has the certificate.
func TestCertificateIsEnoughForWhoHasTheBlock(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	faulty, back := w.others(leader)[0], w.others(leader)[1]
	other := w.others(leader)[2]
	leader.submit(1, 10, 0, put(1))
	w.run(200 * time.Millisecond)
	leader.committed(1)
	w.lost = func(_, to int, f codec.Frame) bool { return to != faulty.at && voteIn(f, pbft.Commit) != nil }
	leader.submit(2, 10, 1, put(2))
	w.until("it commits alone", time.Second, func() bool { return len(faulty.chain) == 2 })
	faulty.showsOnly()
	w.startAgain(back)
	back.sources(faulty.at, leader.at, other.at)
	w.until("it has the block", 2*time.Second, func() bool { return len(back.chain) == 2 && back.view.Core != nil })
	leader.submit(3, 10, 2, put(3))
	w.run(10 * time.Second)
	w.voting(leader, other, back)
	leader.committed(3)
	w.agree()
}

// An old disk is noticed by a head that shows the replica's signature, where nobody gives
// the block.
func TestOldDiskIsNoticedByAHeadAlone(t *testing.T) {
	w, _, from := putBack(t, func([]codec.LogRecord) []codec.LogRecord { return nil })
	w.hold = func(_ *node, e driver.Effect) bool {
		a, ok := e.(driver.Ask)
		if !ok {
			return false
		}
		_, head := a.Request.(follow.Head)
		return !head
	}
	n := w.restart(1, from)
	n.sources(0, 2)
	w.run(30 * time.Second)
	if len(n.chain) != 0 || !n.disowned || !n.view.Recovering {
		t.Fatalf("%d blocks, disowned %v, %+v", len(n.chain), n.disowned, n.view)
	}
	if votes := n.votes(); len(votes) > 0 {
		t.Errorf("a validator whose disk is old has voted: %v", votes[0])
	}
}
