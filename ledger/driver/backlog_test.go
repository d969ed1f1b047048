package driver_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// A peer that gets blocks faster than its disk stores them waits for the disk, and goes on
// when there is room.
func TestFetchedBlocksWaitForTheArchive(t *testing.T) {
	w := newWorldOf(t, 1, 1, func(_ *driver.Config, p *genesis.Params) { p.GrowthBytesPerDay = 0 })
	w.run(1100 * time.Millisecond)
	value := make([]byte, 60_000)
	for i := range 60 {
		for k := range 14 {
			w.nodes[0].submit(intake.Ticket(100*i+k+1), 10+k, uint64(i), tx.RecordPut{Key: fmt.Sprint(k), Value: value})
		}
		w.run(20 * time.Millisecond)
	}
	all := len(w.nodes[0].chain)
	if size := len(w.nodes[0].bodies) * 14 * len(value); size < 3*driver.MaxUnarchived/2 && all < 40 {
		t.Fatalf("%d blocks", all)
	}
	slow, waiting := w.nodes[1], 0
	w.hold = func(n *node, e driver.Effect) bool {
		s, ok := e.(driver.Store)
		if ok && n == slow {
			waiting += s.Block.Body.Size()
		}
		return ok && n == slow
	}
	slow.sources(0)
	w.run(20 * time.Second)
	if most := driver.MaxUnarchived + 2<<20; waiting > most || waiting < driver.MaxUnarchived/2 {
		t.Errorf("%d bytes wait for the archive, want at most %d", waiting, most)
	}
	w.hold = nil
	slow.release()
	w.until("it has all blocks", 20*time.Second, func() bool { return len(slow.chain) == all })
	w.agree()
}
