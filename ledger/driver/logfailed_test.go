package driver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
)

// A validator whose log cannot be written any more forgets what it had decided on the
// strength of records that are not durable, and follows the others from there on.
func TestFailedLogIsFollowedOn(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	broken := w.nodes[1]
	broken.mute = true
	for i := range 3 {
		w.nodes[0].submit(intake.Ticket(i+1), 10, uint64(i), put(i))
		w.run(100 * time.Millisecond)
	}
	if len(broken.chain) > 0 || len(w.nodes[0].chain) != 3 {
		t.Fatalf("%d and %d blocks", len(broken.chain), len(w.nodes[0].chain))
	}
	sent := len(broken.votes())
	broken.take(driver.LogFailed{Err: errors.New("the disk is full")})
	broken.sources(0, 2)
	w.run(5 * time.Second)
	if broken.halted != nil || broken.view.Halted == "" || broken.view.Core != nil {
		t.Fatalf("halted %v, %+v", broken.halted, broken.view)
	}
	if len(broken.chain) != 3 || broken.view.Head.Header.Seq != 3 {
		t.Errorf("it has %d blocks", len(broken.chain))
	}
	if more := broken.votes()[sent:]; len(more) > 0 {
		t.Errorf("it has voted: %v", more[0])
	}
	w.agree()
	w.nodes[0].submit(9, 10, 3, put(9))
	w.run(5 * time.Second)
	if len(broken.chain) != 4 {
		t.Errorf("it does not follow on: %d blocks", len(broken.chain))
	}
}
