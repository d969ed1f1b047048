package driver_test

import (
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Nobody is faulty and no disk is damaged. A block is committed at one replica alone; the
// three others stop and start again, twice, with the COMMITs to them lost. What they have
// voted for they know afterwards, in whatever order their logs have it: no other block
// takes its place.
func TestTwoRestartsOfThreeDoNotFork(t *testing.T) {
	for _, backwards := range []bool{false, true} {
		w := newWorld(t, 4)
		w.run(1100 * time.Millisecond)
		// In a view that has a record of its own.
		first := w.leader(0, 0)
		w.lost = func(from, _ int, f codec.Frame) bool {
			p, ok := f.(codec.Proposal)
			return ok && from == first.at && p.Proposal.View == 0
		}
		for i := range 3 {
			w.others(first)[0].submit(intake.Ticket(i+1), 10, uint64(i), put(i))
			w.run(2 * time.Second)
			w.others(first)[0].committed(intake.Ticket(i + 1))
		}
		view := w.nodes[0].view.Core.View
		alone := w.others(w.leader(0, view))[0]
		three := w.others(alone)
		for _, n := range w.nodes {
			if n.view.Head.Header.Seq != 3 || n.view.Core.View != view || view == 0 {
				t.Fatalf("they are not in one view, or not the first:\n%s", w)
			}
		}
		// COMMITs reach one replica only, and nothing comes from it.
		w.lost = func(from, to int, f codec.Frame) bool {
			return from == alone.at || voteIn(f, pbft.Commit) != nil && to != alone.at
		}
		three[0].submit(4, 10, 3, put(4))
		w.until("one commits alone", 5*time.Second, func() bool { return len(alone.chain) == 4 })
		if len(three[0].chain)+len(three[1].chain)+len(three[2].chain) != 9 {
			t.Fatalf("the others commit as well:\n%s", w)
		}
		turn := func() {
			for _, n := range three {
				n.stop()
				if backwards {
					slices.Reverse(n.disk.records)
				}
			}
			w.startAgain(three...)
		}
		// The first time nothing gets through at all.
		w.lost = func(int, int, codec.Frame) bool { return true }
		turn()
		w.run(1500 * time.Millisecond)
		// The second time all is well among the three.
		w.lost = func(from, to int, _ codec.Frame) bool { return from == alone.at || to == alone.at }
		turn()
		w.run(1100 * time.Millisecond)
		three[1].submit(5, 11, 0, put(5))
		w.run(10 * time.Second)
		three[1].committed(5)
		w.agree()
		w.lost = nil
		three[2].submit(6, 12, 0, put(6))
		w.run(10 * time.Second)
		three[2].committed(6)
		w.agree()
		w.voting(w.nodes...)
	}
}

// A validator that was away gets the last block of its epoch from others and votes in the
// next one at once. Its log says that it stands on that block: with an archive that ends
// below, it would not know after a crash that it is in that epoch, and forget its votes.
func TestBeginsAnEpochOnWhatItsLogKnows(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	w.nodes[0].submit(1, 10, 0, put(1))
	w.run(200 * time.Millisecond)
	w.nodes[0].committed(1)
	late := w.others(w.leader(0, 0), w.leader(1, 0))[0]
	late.stop()
	renews := w.leader(0, 0)
	own := key(renews.at).Public()
	renews.submit(2, renews.at, 0, tx.ValidatorAdd{Key: own, Replaces: own, Salt: [16]byte{1}})
	w.run(3 * time.Second)
	last := renews.committed(2)
	late.disk.records = slices.Clone(late.disk.records[:late.disk.synced])
	late.start(late.recovered())
	late.begin()
	var others []int
	for _, n := range w.others(late) {
		others = append(others, n.at)
	}
	late.sources(others...)
	w.until("it votes in the next epoch", 5*time.Second, func() bool { return late.view.Core != nil && late.view.Core.Epoch == 1 })
	if !slices.ContainsFunc(late.disk.records, func(r codec.LogRecord) bool {
		d, ok := r.(codec.Decided)
		return ok && d.Decision.Header.Seq == last
	}) {
		t.Errorf("it votes above block %d, of which its log knows nothing", last)
	}
}

// renewing returns the renewals that a node passes on, in the order in which it first did.
func (n *node) renewing() (ids []tx.ID) {
	for _, s := range n.sent {
		txs, ok := s.Frame.(codec.Transactions)
		if !ok {
			continue
		}
		batch, err := tx.DecodeBatch(txs.Encoded)
		if err != nil {
			n.w.t.Fatal(err)
		}
		for _, x := range batch {
			if op, ok := x.Op.(tx.ValidatorAdd); ok && op.Renews() && op.Key == key(n.at).Public() && !slices.Contains(ids, x.ID()) {
				ids = append(ids, x.ID())
			}
		}
	}
	return ids
}

// A validator loses its log twice in a row, and the renewal that it made after the first
// loss is committed after the second one. It does not vote in the epoch that this renewal
// begins: it may have voted there before, for all it knows.
func TestSecondLossNeedsARenewalOfItsOwn(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	w.nodes[0].submit(1, 10, 0, put(1))
	w.run(200 * time.Millisecond)
	lost := w.others(w.leader(0, 0), w.leader(1, 0))[0]
	away := w.others(lost, w.leader(0, 0), w.leader(1, 0))[0]
	lose := func() {
		lost.stop()
		lost.loseLog()
		lost.sent = nil
		lost.start(lost.recovered())
		lost.begin()
	}
	away.down = true // without it and the one that is lost, nothing commits
	lose()
	w.run(5 * time.Second)
	first := lost.renewing()
	if len(first) != 1 {
		t.Fatalf("it has made %d renewals", len(first))
	}
	w.lost = func(from, to int, _ codec.Frame) bool { return from == lost.at || to == lost.at }
	lose()
	w.run(5 * time.Second)
	second := lost.renewing()
	if len(second) != 1 || second[0] == first[0] {
		t.Fatalf("its renewals are %v after the first loss and %v after the second", first, second)
	}
	away.down = false
	w.lost = func(from, _ int, f codec.Frame) bool { return from == lost.at && has(f, second[0]) }
	w.until("the first renewal is committed, and it knows", 20*time.Second, func() bool {
		return lost.view.Head.Epoch == 1 && lost.view.Core != nil && lost.view.Core.Epoch == 1
	})
	lost.sent = nil
	for i := range 5 {
		w.others(lost, away)[0].submit(intake.Ticket(i+2), 10, uint64(i+1), put(i))
		w.run(100 * time.Millisecond)
	}
	if !lost.view.Recovering {
		t.Errorf("it votes in an epoch that an earlier renewal began:\n%s", w)
	}
	for _, s := range lost.sent {
		m, ok := s.Frame.(codec.Message)
		if !ok {
			continue
		}
		if v, ok := m.Message.(*pbft.Vote); ok && v.Phase != pbft.Checkpoint {
			t.Fatalf("it votes: %v", v)
		}
	}
	w.lost = nil
	w.until("it votes again", time.Minute, func() bool { return lost.view.Core != nil && !lost.view.Recovering })
	if lost.view.Core.Epoch < 2 {
		t.Errorf("it votes in epoch %d", lost.view.Core.Epoch)
	}
	w.startAgain(lost)
	if lost.view.Recovering {
		t.Error("after a restart it has not taken its place")
	}
	w.agree()
}

// A renewal is in the log before it leaves, and counts after a restart: no second one is
// used up.
func TestRenewalOutlivesARestart(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	lost := w.others(leader)[0]
	away := w.others(leader, lost)[0]
	away.down = true
	lost.stop()
	lost.loseLog()
	lost.mute, lost.sent = true, nil
	lost.start(lost.recovered())
	lost.begin()
	w.run(5 * time.Second)
	if ids := lost.renewing(); len(ids) > 0 {
		t.Fatalf("%v has left before it is durable", ids)
	}
	lost.mute, lost.disk.synced = false, len(lost.disk.records)
	for _, e := range lost.held {
		lost.take(e)
	}
	w.run(time.Second)
	ids := lost.renewing()
	memory, err := journal.Fold(lost.disk.records)
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 1 || len(memory.Renewals()) != 1 || memory.Renewals()[0].ID != ids[0] {
		t.Fatalf("%v has left, and the log has %v", ids, memory.Renewals())
	}
	// What it passes on from now on gets to nobody: only the first one can be committed.
	w.lost = func(from, _ int, f codec.Frame) bool {
		_, passes := f.(codec.Transactions)
		return from == lost.at && passes
	}
	w.startAgain(lost)
	away.down = false
	w.until("it votes again", time.Minute, func() bool { return lost.view.Core != nil && !lost.view.Recovering })
	renewals := 0
	for _, block := range leader.disk.ids {
		if slices.Contains(block, ids[0]) {
			renewals++
		}
	}
	if renewals != 1 || lost.view.Core.Epoch != 1 {
		t.Errorf("the first renewal is committed %d times, and it votes in epoch %d", renewals, lost.view.Core.Epoch)
	}
	w.agree()
}

// A renewal that a restart has kept from being handed in is handed in behind it, and no
// other one.
func TestRenewalIsHandedInAgain(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	lost := w.others(w.leader(0, 0))[0]
	lost.stop()
	lost.loseLog()
	w.lost = func(from, _ int, f codec.Frame) bool {
		_, passes := f.(codec.Transactions)
		return from == lost.at && passes
	}
	lost.start(lost.recovered())
	lost.begin()
	w.run(5 * time.Second)
	ids := lost.renewing()
	if len(ids) != 1 {
		t.Fatalf("%d renewals have left", len(ids))
	}
	w.startAgain(lost)
	w.lost = nil
	w.until("it votes again", time.Minute, func() bool { return lost.view.Core != nil && !lost.view.Recovering })
	memory, err := journal.Fold(lost.disk.records)
	if err != nil {
		t.Fatal(err)
	}
	if all := memory.Renewals(); len(all) != 1 || all[0].ID != ids[0] {
		t.Errorf("the log has renewals %v, want %v alone", all, ids)
	}
	w.agree()
}

// A validator that takes its place anew again and again leads no more than the others do:
// the transaction that it leaves out is committed, and those who lead well stay.
func TestRenewalsWithoutEnd(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	faulty := w.leader(0, 0)
	honest := w.others(faulty)
	left := w.strangers(3, 1)[0]
	w.lost = func(_, to int, f codec.Frame) bool { return to == faulty.at && has(f, left.ID()) }
	honest[0].take(driver.Submitted{Ticket: 1, Tx: left, From: intake.Local()})
	own := key(faulty.at).Public()
	leaders := map[string]bool{}
	for i := range 20 {
		faulty.submit(intake.Ticket(100+i), faulty.at, uint64(i), tx.ValidatorAdd{Key: own, Replaces: own, Salt: [16]byte{byte(i)}})
		w.run(time.Second)
		if c := honest[0].view.Core; c != nil {
			leaders[c.Leader.String()] = true
		}
	}
	honest[0].committed(1)
	if honest[0].view.Head.Epoch == 0 || len(leaders) < 2 {
		t.Errorf("%d have led in %d epochs", len(leaders), honest[0].view.Head.Epoch)
	}
	w.agree()
	w.voting(honest...)
}

// What comes to a committee while its leader only listens is ordered as soon as he votes: it
// need not be passed on once more, and nobody else has to lead for it.
func TestTransactionsWaitForALeaderWhoListens(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	others := w.others(leader)
	w.startAgain(leader, others[1])
	w.run(900 * time.Millisecond)
	if leader.view.Core != nil {
		t.Fatal("the leader votes already")
	}
	others[0].submit(1, 10, 0, put(0))
	w.until("the leader votes", 500*time.Millisecond, func() bool { return leader.view.Core != nil })
	w.until("the transaction is in a block", 100*time.Millisecond, func() bool { return len(leader.chain) == 1 })
	others[0].committed(1)
	if v := leader.view.Core.View; v != 0 {
		t.Errorf("it took view %d", v)
	}
}
