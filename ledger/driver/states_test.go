package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
)

// A state may be on its way to somebody, who needs longer for it than the ledger for the
// next ones. It is served for as long as is said, and not for ever.
func TestStatesAreServedForAWhile(t *testing.T) {
	const life = 10 * time.Second
	w := newWorldOf(t, 4, 0, func(c *driver.Config, _ *genesis.Params) { c.StateEvery, c.StateLife = 1, life })
	stored, below, prunes := map[uint64]time.Duration{}, uint64(0), 0
	w.hold = func(n *node, e driver.Effect) bool {
		if n.at != 0 {
			return false
		}
		switch e := e.(type) {
		case driver.Store:
			if !e.Stateless {
				stored[e.Decision.Header.Seq] = w.now
			}
		case driver.Prune:
			prunes++
			for seq := below; seq < e.Below; seq++ {
				if next, ok := stored[seq+1]; ok && w.now-next < life {
					t.Errorf("the state of block %d is gone %v after the next one", seq, w.now-next)
				}
			}
			below = max(below, e.Below)
		}
		return false
	}
	n := w.nodes[0]
	for i := range 40 {
		n.submit(intake.Ticket(i+1), 20, uint64(i), put(i))
		w.run(time.Second)
	}
	if len(stored) < 30 {
		t.Fatalf("%d states were stored", len(stored))
	}
	if prunes < len(stored)-2 {
		t.Errorf("what need not be in memory was dropped %d times, %d states were stored", prunes, len(stored))
	}
	if last := uint64(len(stored)); below+20 < last {
		t.Errorf("the states before block %d are gone of %d: the others are there for ever", below, last)
	}
}

// Where the ledger is fast, it is their number that bounds what is there.
func TestStatesAreBoundedInNumber(t *testing.T) {
	w := newWorldOf(t, 4, 0, func(c *driver.Config, _ *genesis.Params) { c.StateEvery, c.StateLife = 1, time.Hour })
	last, below := uint64(0), uint64(0)
	w.hold = func(n *node, e driver.Effect) bool {
		switch e := e.(type) {
		case driver.Store:
			last = max(last, e.Decision.Header.Seq)
		case driver.Prune:
			below = max(below, e.Below)
		}
		return false
	}
	n := w.nodes[0]
	const more = 30
	for i := range driver.MaxStates + more {
		n.submit(intake.Ticket(i+1), 20, uint64(i), put(i))
		w.run(time.Second)
	}
	if last < driver.MaxStates+more-2 {
		t.Fatalf("%d blocks", last)
	}
	if kept := last - below; kept > driver.MaxStates+4 {
		t.Errorf("%d states are kept", kept)
	}
}
