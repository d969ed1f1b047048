package driver_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// contradiction is the i-th of votes of a node that contradict each other, in a few places
// of an epoch.
func (w *world) contradiction(by *node, epoch, above uint64, i int) codec.Message {
	s := pbft.Subject{Phase: pbft.Prepare, Epoch: epoch, Seq: above + 1 + uint64(i)%8}
	binary.BigEndian.PutUint64(s.Digest[:], uint64(i)+1)
	s.State = s.Digest
	return w.vote(by, s)
}

// checked counts how many messages of a node another one verifies from now on.
func (n *node) checked(by *node) *int {
	replica, _ := n.w.genesis.Set().Replica(key(by.at).Public())
	count := new(int)
	before := n.w.hold
	n.w.hold = func(at *node, e driver.Effect) bool {
		if c, ok := e.(driver.CheckVotes); ok && at == n {
			for _, m := range c.Messages {
				if v, ok := m.(*pbft.Vote); ok && v.Replica == replica {
					*count++
				}
			}
		}
		return before != nil && before(at, e)
	}
	return count
}

// Of 20,000 votes that contradict each other, few are looked at, one piece of evidence is
// kept, and nobody is told twice. The others order on.
func TestContradictingVotesCostLittle(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	faulty := w.leader(0, 3)
	victim := w.others(faulty)[0]
	looked := victim.checked(faulty)
	const votes = 20_000
	for i := range votes {
		victim.hears(faulty.at, driver.Votes, w.contradiction(faulty, 0, 2, i))
		if i%2000 == 0 {
			victim.submit(intake.Ticket(i/2000+1), 10, uint64(i/2000), put(i))
			w.run(10 * time.Millisecond)
		}
	}
	w.run(time.Second)
	for i := range votes / 2000 {
		victim.committed(intake.Ticket(i + 1))
	}
	evidence := 0
	for _, what := range victim.disk.kept {
		if _, ok := what.(*pbft.Evidence); ok {
			evidence++
		}
	}
	convicted := notices(victim, func(n driver.Misbehaved) bool { return n.Kind != "invalid message" })
	if *looked > 1000 || evidence != 1 || convicted != 1 {
		t.Errorf("of %d votes %d are verified; %d pieces of evidence, told %d times", votes, *looked, evidence, convicted)
	}
	w.voting(w.others(faulty)...)
}

// Who sends without end fills a share of his own; what others send is next all the same,
// in its order.
func TestSendersHaveTurns(t *testing.T) {
	w := patient(t)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	n := w.others(leader)[0]
	loud, calm := w.others(leader, n)[0], w.others(leader, n)[1]
	for _, o := range w.others(n) {
		o.down = true
	}
	out := 0
	w.hold = func(_ *node, e driver.Effect) bool {
		_, ok := e.(driver.CheckVotes)
		if ok {
			out++
		}
		return ok
	}
	size := len(codec.AppendFrame(nil, w.contradiction(loud, 0, 0, 0)))
	const flood = 5000
	for i := range flood {
		n.hears(loud.at, driver.Votes, w.contradiction(loud, 0, 0, i))
	}
	for i := range 3 {
		n.hears(calm.at, driver.Votes, w.contradiction(calm, 0, uint64(i), 8*i))
	}
	w.run(10 * time.Millisecond)
	dropped := notices(n, func(x driver.FrameDropped) bool { return true })
	if most := 256 << 10 / size; flood-dropped > most+1 {
		t.Errorf("%d votes of one sender wait, %d have room", flood-dropped, most)
	}
	if out > 4 {
		t.Errorf("%d jobs are out at a time", out)
	}
	// The next job has what the others sent.
	replica, _ := w.genesis.Set().Replica(key(calm.at).Public())
	var seqs []uint64
	w.hold = func(_ *node, e driver.Effect) bool {
		c, ok := e.(driver.CheckVotes)
		for i, m := range c.Messages {
			if v, ok := m.(*pbft.Vote); ok && v.Replica == replica {
				if seqs = append(seqs, v.Seq); i > 8 {
					t.Errorf("the %d-th vote of a sender who has sent three has to wait for %d of another", len(seqs), i)
				}
			}
		}
		return ok
	}
	first := n.waiting[0]
	n.waiting = n.waiting[1:]
	n.do(first)
	w.run(10 * time.Millisecond)
	if len(seqs) != 3 || seqs[0] != 1 || seqs[1] != 2 || seqs[2] != 3 {
		t.Errorf("of those who have sent little, votes for %v are next", seqs)
	}
}

// Votes of the next epoch wait in 64 KiB for each sender, and nothing but votes does. When
// the epoch begins they are looked at, once.
func TestFramesOfTheNextEpochAreBounded(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	faulty := w.leader(0, 3)
	victim := w.others(faulty)[0]
	looked := victim.checked(faulty)
	size := len(codec.AppendFrame(nil, w.contradiction(faulty, 1, 10, 0)))
	for i := range 10_000 {
		victim.hears(faulty.at, driver.Votes, w.contradiction(faulty, 1, 10, i))
	}
	// A proposal, and with it its body, does not wait.
	b := victim.next(victim.instant().Wall, w.strangers(1, 100))
	h := b.Header
	h.Epoch = 1
	p := w.proposal(faulty, 2, &h, b.Body)
	for range 1000 {
		victim.hears(faulty.at, driver.Proposals, p)
	}
	w.run(100 * time.Millisecond)
	if *looked > 0 {
		t.Fatalf("%d messages of another epoch are verified", *looked)
	}
	proposals := 0
	before := w.hold
	w.hold = func(at *node, e driver.Effect) bool {
		if c, ok := e.(driver.CheckVotes); ok && at == victim {
			for _, m := range c.Messages {
				if p, ok := m.(*pbft.Proposal); ok && p.View == 2 {
					proposals++
				}
			}
		}
		return before(at, e)
	}
	own := key(victim.at).Public()
	victim.submit(1, victim.at, 0, tx.ValidatorAdd{Key: own, Replaces: own})
	votes := w.hold
	w.hold = func(at *node, e driver.Effect) bool {
		_, checks := e.(driver.CheckVotes)
		begun := at == victim && victim.view.Core != nil && victim.view.Core.Epoch == 1
		return votes(at, e) || checks && begun // so that all that has waited is here at once
	}
	w.until("the next epoch begins", 10*time.Second, func() bool { return victim.view.Core != nil && victim.view.Core.Epoch == 1 })
	w.run(20 * time.Millisecond)
	if dropped := notices[driver.FrameDropped](victim, nil); dropped > 0 {
		t.Errorf("there was no room for %d of the frames that have waited", dropped)
	}
	w.hold = votes
	victim.release()
	w.run(500 * time.Millisecond)
	if most := 64 << 10 / size; *looked == 0 || *looked > most || proposals > 0 {
		t.Errorf("%d votes and %d proposals have waited for the epoch, %d votes have room", *looked, proposals, most)
	}
	w.voting(w.others(faulty)...)
}
