package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
)

// holdStore has what is committed not come into a node's archive.
func (w *world) holdStore(n *node) {
	w.hold = func(at *node, e driver.Effect) bool {
		_, stores := e.(driver.Store)
		return stores && at == n
	}
}

// Whoever hands a transaction in again whose block is committed and on its way to the
// archive is told where it is, once it is there. To be told that its nonce is used would
// be to be told of another transaction.
func TestAgainWhileItsBlockIsStored(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	n := w.nodes[1]
	w.holdStore(n)
	x := n.submit(1, 10, 0, put(1))
	w.run(200 * time.Millisecond)
	if len(w.nodes[0].chain) != 1 || len(n.answers) > 0 {
		t.Fatalf("it is not committed elsewhere, or stored here:\n%s", w)
	}
	n.take(driver.Submitted{Ticket: 2, Tx: x, From: intake.Local()})
	other := n.submit(3, 10, 0, put(2)) // which its owner has signed as well
	w.run(2 * time.Second)
	if a, ok := n.answers[2]; ok {
		t.Errorf("the same transaction: %v", a.Err)
	}
	if a, ok := n.answers[3]; !ok || a.Err == nil {
		t.Errorf("another transaction %v with its nonce: %+v, %t", other.ID(), a, ok)
	}
	w.hold = nil
	n.release()
	w.run(100 * time.Millisecond)
	for _, ticket := range []intake.Ticket{1, 2} {
		if block := n.committed(ticket); block != 1 {
			t.Errorf("ticket %d: block %d", ticket, block)
		}
	}
}

// The same goes for a follower, which finds out by itself what its head makes void.
func TestHandedOverWhileItsBlockIsStored(t *testing.T) {
	w := newWorldOf(t, 4, 1, nil)
	w.run(1100 * time.Millisecond)
	follower := w.nodes[4]
	w.holdStore(follower)
	follower.sources(0, 1, 2, 3)
	x := follower.submit(1, 10, 0, put(1))
	w.run(100 * time.Millisecond)
	w.nodes[0].take(driver.Submitted{Ticket: 1, Tx: x, From: intake.Local()}) // one source keeps its word
	w.run(5 * time.Second)
	if a, ok := follower.answers[1]; ok || len(follower.waiting) == 0 {
		t.Errorf("the client is told %v; %d blocks are on their way", a.Err, len(follower.waiting))
	}
	w.hold = nil
	follower.release()
	w.run(time.Second)
	if block := follower.committed(1); block != 1 {
		t.Errorf("block %d", block)
	}
}
