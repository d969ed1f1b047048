package driver_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// A leader is held against what it could have proposed, and nothing else.

// races are pairs of operations of which only one can be committed, with their owners.
func (w *world) races(round int) map[string][2]*tx.Transaction {
	name := fmt.Sprint("photos", round)
	owner := func(n int) sig.PrivateKey { return sig.FromSeed([sig.SeedSize]byte{9, byte(round), byte(n)}) }
	return map[string][2]*tx.Transaction{
		"one nonce": {w.sign(owner(0), 0, put(1)), w.sign(owner(0), 0, put(2))},
		"one name":  {w.sign(owner(1), 0, tx.NameClaim{Name: name}), w.sign(owner(2), 0, tx.NameClaim{Name: name})},
	}
}

// has reports whether a frame passes a transaction on.
func has(f codec.Frame, id tx.ID) bool {
	txs, ok := f.(codec.Transactions)
	if !ok {
		return false
	}
	batch, err := tx.DecodeBatch(txs.Encoded)
	return err == nil && slices.Contains(batch.IDs(), id)
}

// suspected returns how long a transaction has waited that nodes hold against the leader.
func suspected(nodes ...*node) (oldest time.Duration) {
	for _, n := range nodes {
		oldest = max(oldest, n.view.Oldest)
	}
	return oldest
}

// Two transactions that exclude each other, at two validators: neither their race nor its
// end makes anybody change the leader, and who has lost is told at once.
func TestRacesAreNotHeldAgainstLeaders(t *testing.T) {
	for _, kind := range []string{"one nonce", "one name"} {
		w := newWorld(t, 4)
		w.run(1100 * time.Millisecond)
		followers := w.others(w.leader(0, 0))
		for round := range 10 {
			pair := w.races(round)[kind]
			for i, x := range pair {
				followers[i].take(driver.Submitted{Ticket: intake.Ticket(2*round + i + 1), Tx: x, From: intake.Local()})
			}
			w.run(2 * time.Second)
			refused := 0
			for i := range pair {
				a, ok := followers[i].answers[intake.Ticket(2*round+i+1)]
				switch code, _ := tx.CodeOf(a.Err); {
				case !ok:
					t.Fatalf("%s: nobody is told\n%s", kind, w)
				case code == tx.CodeNonceUsed || code == tx.CodeNameTaken:
					refused++
				case a.Err != nil:
					t.Fatalf("%s: %v", kind, a.Err)
				}
			}
			if refused != 1 {
				t.Errorf("%s: %d of two are refused", kind, refused)
			}
		}
		if w.nodes[0].view.Core.View != 0 {
			t.Errorf("%s: honest leaders were given up:\n%s", kind, w)
		}
		w.agree()
	}
}

// While one of two is in flight the other one does not count; what nobody has proposed
// does.
func TestLoserOfARaceInFlight(t *testing.T) {
	for _, kind := range []string{"one nonce", "one name"} {
		w := patient(t)
		w.run(1100 * time.Millisecond)
		leader := w.leader(0, 0)
		others := w.others(leader)
		pair := w.races(1)[kind]
		// The leader does not hear of the first one, and no COMMIT arrives.
		w.lost = func(_, to int, f codec.Frame) bool {
			return to == leader.at && has(f, pair[0].ID()) || voteIn(f, pbft.Commit) != nil
		}
		others[0].take(driver.Submitted{Ticket: 1, Tx: pair[0], From: intake.Local()})
		w.run(500 * time.Millisecond)
		if suspected(others...) == 0 {
			t.Fatalf("%s: a valid transaction that nobody has proposed does not count", kind)
		}
		leader.take(driver.Submitted{Ticket: 2, Tx: pair[1], From: intake.Local()})
		w.run(500 * time.Millisecond)
		if age := suspected(others...); age > 0 {
			t.Errorf("%s: the loser counts while the other one is in flight: %v", kind, age)
		}
		w.lost = func(_, to int, f codec.Frame) bool { return to == leader.at && has(f, pair[0].ID()) }
		w.run(time.Second)
		leader.committed(2)
		if age := suspected(others...); age > 0 {
			t.Errorf("%s: the loser counts when the other one is committed: %v", kind, age)
		}
	}
}

// Junk leaves, and does not count while it waits, whichever validators let it in.
func TestJunkIsNotHeldAgainstLeaders(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	others := w.others(w.leader(0, 0))
	for i := range 300 {
		junk := w.sign(sig.FromSeed([sig.SeedSize]byte{7, byte(i), byte(i >> 8)}), 1<<40, put(i))
		for _, n := range others {
			from := w.nodes[i%4]
			if from != n {
				n.hears(from.at, driver.Bulk, codec.Transactions{Encoded: tx.Batch{junk}.AppendTo(nil)})
			}
		}
	}
	w.hold = func(_ *node, e driver.Effect) bool {
		_, judges := e.(driver.Judge)
		return judges // nobody knows yet what it is
	}
	w.run(time.Second)
	for _, n := range others {
		if n.view.Waiting == 0 || n.view.Oldest > 0 {
			t.Errorf("junk does not wait, or counts before it is judged:\n%s", w)
		}
	}
	w.hold = nil
	for _, n := range others {
		n.release()
	}
	for range 500 {
		w.run(10 * time.Millisecond)
		if age := suspected(others...); age > 0 {
			t.Fatalf("junk counts: %v", age)
		}
	}
	for _, n := range others {
		if n.view.Waiting > 0 || n.view.Core.View != 0 {
			t.Errorf("junk stays, or changes the leader:\n%s", w)
		}
	}
}

// In a swarm that has more to do than it can, all transactions wait for long. They are not
// sent again for that, but one that the leader passes over is.
func TestLongQueueIsNotSentAgain(t *testing.T) {
	w := newWorldOf(t, 4, 0, func(c *driver.Config, _ *genesis.Params) { c.MaxBatch, c.Core.Window = 4, 1 })
	w.latency = 6 * time.Millisecond
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	at := w.others(leader)[0]
	sent := map[tx.ID]int{}
	var first tx.ID // the leader does not get it for a while
	end := w.now + 3*time.Second
	w.lost = func(from, to int, f codec.Frame) bool {
		txs, ok := f.(codec.Transactions)
		if !ok || to != leader.at {
			return false
		}
		batch, err := tx.DecodeBatch(txs.Encoded)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range batch.IDs() {
			if from == at.at {
				sent[id]++
			}
		}
		return slices.Contains(batch.IDs(), first) && w.now < end
	}
	first = at.submit(1, 100, 0, put(0)).ID()
	w.run(10 * time.Millisecond)
	const queue = 800
	for i, x := range w.strangers(4, queue) {
		at.take(driver.Submitted{Ticket: intake.Ticket(i + 2), Tx: x, From: intake.Local()})
	}
	w.run(20 * time.Second)
	for i := range queue + 1 {
		at.committed(intake.Ticket(i + 1))
	}
	again := 0
	for id, times := range sent {
		if id != first && times > 1 {
			again++
		}
	}
	if sent[first] < 5 || again > queue/100 {
		t.Errorf("what the leader did not get was sent %d times; of %d others, %d were sent again", sent[first], queue, again)
	}
}

// Where nothing moves, all that waits is sent again.
func TestQueueThatStandsIsSentAgain(t *testing.T) {
	w := patient(t)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	at := w.others(leader)[0]
	leader.down = true
	const queue = 50
	for i := range queue {
		at.submit(intake.Ticket(i+1), 100+i, 0, put(i))
	}
	w.run(100 * time.Millisecond)
	at.sent = nil
	w.run(2 * time.Second)
	sent := map[tx.ID]bool{}
	for _, s := range at.sent {
		if txs, ok := s.Frame.(codec.Transactions); ok {
			batch, err := tx.DecodeBatch(txs.Encoded)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range batch.IDs() {
				sent[id] = true
			}
		}
	}
	if len(sent) != queue {
		t.Errorf("%d of %d were sent again", len(sent), queue)
	}
}

// Less demand is not a slower leader.
func TestFallingDemandKeepsTheLeader(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	at := w.others(w.leader(0, 0))[0]
	ticket := intake.Ticket(0)
	submit := func() {
		ticket++
		at.submit(ticket, 100+int(ticket)%100, uint64(ticket/100), put(int(ticket)))
	}
	submit()
	w.run(100 * time.Millisecond)
	for range 100 { // 5 s of 400 a second
		for range 20 {
			submit()
		}
		w.run(50 * time.Millisecond)
	}
	for range 30 { // and one a second
		submit()
		w.run(time.Second)
	}
	for _, n := range w.nodes {
		if n.view.Core.View != 0 {
			t.Fatalf("an honest leader was given up:\n%s", w)
		}
	}
	for i := range ticket {
		at.committed(i + 1)
	}
}
