package driver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
)

// stopped returns a validator that has stopped voting, though it is one still, and that has
// two transactions of which the others never heard.
func stopped(t *testing.T) (w *world, n *node) {
	t.Helper()
	w, n = unheard(t)
	n.submit(1, 10, 0, put(1))
	n.submit(2, 10, 1, put(2))
	w.run(0)
	n.take(driver.LogFailed{Err: errors.New("the disk is full")})
	w.run(0)
	if n.view.Halted == "" || len(n.answers) > 0 {
		t.Fatalf("halted %q, %+v", n.view.Halted, n.answers)
	}
	return w, n
}

// What waits at a validator that votes no more is handed over to others.
func TestClientsOfAValidatorThatStops(t *testing.T) {
	w, n := stopped(t)
	w.orders = true
	n.sources(0, 1)
	w.until("its clients are answered", 5*time.Second, func() bool { return len(n.answers) == 2 })
	n.committed(1)
	n.committed(2)
	if n.view.Waiting > 0 {
		t.Errorf("%d still wait in its pool", n.view.Waiting)
	}
}

// Where nobody is there to hand them over to, their clients are not told that they failed:
// the others were passed them on once, and may order them yet.
func TestWhatWasPassedOnIsUndecided(t *testing.T) {
	w, n := stopped(t)
	w.until("its clients are answered", 5*time.Minute, func() bool { return len(n.answers) == 2 })
	for _, ticket := range []intake.Ticket{1, 2} {
		if err := n.answers[ticket].Err; !errors.Is(err, driver.ErrUndecided) {
			t.Errorf("%d: %v", ticket, err)
		}
	}
}
