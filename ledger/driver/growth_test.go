package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// A transaction got in while the ledger had room for it, and another one used that up. It
// waits until there is room again, and nothing else waits for it.
func TestAdmittedTransactionWaitsForRoom(t *testing.T) {
	w := newWorldOf(t, 4, 0, func(_ *driver.Config, p *genesis.Params) { p.GrowthBytesPerDay = 64 << 20 })
	w.run(1100 * time.Millisecond)
	n := w.nodes[0]
	left := func() int {
		l, bounded, err := n.disk.head().State.Growth(n.disk.head().Header.Time)
		if err != nil || !bounded {
			t.Fatal(bounded, err)
		}
		return int(l)
	}
	record := func(size int) tx.Op { return tx.RecordPut{Key: "k", Value: make([]byte, size)} }
	ticket, nonce := intake.Ticket(0), uint64(0)
	fill := func(size int) {
		ticket++
		n.submit(ticket, 100, nonce, tx.RecordPut{Key: string(rune('a'+nonce%26)) + string(rune('a'+nonce/26)), Value: make([]byte, size)})
		nonce++
		w.run(50 * time.Millisecond)
		n.committed(ticket)
	}
	for left() > 2*tx.MaxValue+8000 {
		fill(tx.MaxValue)
	}
	for left() > 8000 {
		fill(1000)
	}
	// Each of the two has room, and both have not.
	size := left()/2 - 1500
	n.submit(1000, 101, 0, record(size))
	n.submit(1001, 102, 0, record(size))
	w.run(20 * time.Millisecond)
	for _, a := range n.answers {
		if a.Err != nil {
			t.Fatalf("refused, %d bytes are left: %v", left(), a.Err)
		}
	}
	if len(n.answers) != int(ticket)+1 {
		t.Fatalf("%d answers: both or none had room, %d bytes are left", len(n.answers)-int(ticket), left())
	}
	// Votes go through meanwhile.
	n.submit(1002, n.at, 0, tx.ParamsSet{Name: "nonce_window", Value: 2000})
	w.run(300 * time.Millisecond)
	n.committed(1002)
	w.until("the other one is committed too", 30*time.Second, func() bool { return len(n.answers) == int(ticket)+3 })
	n.committed(1000)
	n.committed(1001)
	w.voting(w.nodes...)
	if v := n.view.Core.View; v != 0 {
		t.Errorf("a leader was given up for what had no room: view %d", v)
	}
}
