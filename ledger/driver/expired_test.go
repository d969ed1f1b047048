package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/tx"
)

// That a transaction has expired is what one validator knows: it waits for it no more. The
// others may have ordered it, or do so later, as no rule of blocks has a time for that.
func TestExpiredIsNotFinal(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	n := w.leader(0, 2)
	w.lost = func(from, to int, f codec.Frame) bool {
		_, passed := f.(codec.Transactions)
		return (from == n.at || to == n.at) && !passed
	}
	n.submit(1, 10, 0, put(1))
	w.run(70 * time.Second)
	if code, ok := tx.CodeOf(n.answers[1].Err); !ok || code != tx.CodeExpired {
		t.Fatalf("its client is told %+v:\n%s", n.answers[1], w)
	}
	if chain := w.others(n)[0].chain; len(chain) != 1 {
		t.Fatalf("the others have %d blocks:\n%s", len(chain), w)
	}
}
