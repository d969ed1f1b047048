package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// A validator says without end that it is still in the epoch before. Nothing of that is
// verified, so it is answered now and then, and costs no other its answer.
func TestWhoStaysBehindIsHelpedNowAndThen(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	n := w.nodes[0]
	own := key(1).Public()
	w.nodes[1].submit(1, 1, 0, tx.ValidatorAdd{Key: own, Replaces: own, Salt: [16]byte{1}})
	w.until("the next epoch begins", 5*time.Second, func() bool { return n.view.Core != nil && n.view.Core.Epoch == 1 })
	helps := func(to int) int {
		count := 0
		for _, s := range n.sent {
			if m, ok := s.Frame.(codec.Message); ok && len(s.To) == 1 && s.To[0] == key(to).Public() {
				if _, certified := m.Message.(*pbft.Certified); certified {
					count++
				}
			}
		}
		return count
	}
	behind := func(from, times int) {
		for range times {
			n.hears(from, driver.Votes, codec.Message{Message: &pbft.Status{}})
		}
		w.run(0)
	}
	w.run(time.Second)
	before, other := helps(3), helps(2)
	for range 10 {
		behind(3, 1000)
		w.run(10 * time.Millisecond)
	}
	if got := helps(3) - before; got == 0 || got > 2 {
		t.Errorf("%d answers to 10,000 frames within 100 ms", got)
	}
	behind(2, 1)
	if got := helps(2) - other; got != 1 {
		t.Errorf("%d answers to another validator", got)
	}
	w.run(time.Second)
	before = helps(3)
	if behind(3, 1); helps(3) != before+1 {
		t.Error("no answer a second later")
	}
}
