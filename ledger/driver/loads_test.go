package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
)

// Who asks for bodies without end has few read while the disk is busy: each is as large as
// a block, and all of them would be in memory at a time.
func TestFewBodiesAreReadForOne(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	asked, asks := w.nodes[0], 1
	loads := 0
	w.hold = func(n *node, e driver.Effect) bool {
		_, load := e.(driver.Load)
		if load && n == asked {
			loads++
		}
		return load
	}
	for i := range 1000 {
		asked.hears(asks, driver.Bulk, codec.Want{Root: pbft.Digest{1}, Seq: uint64(i)})
		w.run(3 * time.Millisecond)
	}
	if loads == 0 || loads > 4 {
		t.Errorf("%d bodies are being read for one validator", loads)
	}
	w.hold = nil
	asked.release()
	w.run(time.Second)
	before := loads
	w.hold = func(_ *node, e driver.Effect) bool {
		if _, load := e.(driver.Load); load {
			loads++
		}
		return false
	}
	asked.hears(asks, driver.Bulk, codec.Want{Root: pbft.Digest{1}, Seq: 1})
	w.run(time.Second)
	if loads != before+1 {
		t.Error("nothing is read any more")
	}
}
