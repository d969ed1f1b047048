package driver_test

import (
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// What a driver says that it holds is what it was given and has not let go of.
func TestFootprintCountsWhatWaits(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	n := w.others(leader)[0]
	loud := w.others(leader, n)[0]
	empty := n.driver.Footprint()
	if total := empty.Total(); total > 16<<10 {
		t.Errorf("with nothing to do, %d bytes are held: %+v", total, empty)
	}
	w.hold = func(_ *node, e driver.Effect) bool {
		switch e.(type) {
		case driver.CheckVotes, driver.CheckTxs:
			return true
		}
		return false
	}
	votes, early, gate := 0, 0, 0
	for i := range 300 {
		now, next := w.contradiction(loud, 0, 0, i), w.contradiction(loud, 1, 0, i)
		n.hears(loud.at, driver.Votes, now)
		n.hears(loud.at, driver.Votes, next)
		votes += len(codec.AppendFrame(nil, now))
		early += len(codec.AppendFrame(nil, next))
	}
	for i := range 10 {
		sent := n.submit(intake.Ticket(i+1), 10, uint64(i), tx.RecordPut{Key: "k", Value: make([]byte, 1000)})
		gate += tx.EncodedSize(sent) + intake.Overhead
	}
	w.run(time.Millisecond)
	f := n.driver.Footprint()
	var of driver.PeerFootprint
	for _, p := range f.Peers {
		of.Votes, of.Early = max(of.Votes, p.Votes), max(of.Early, p.Early)
	}
	one := early / 300
	if of.Votes != votes || of.Early != min(early, 64<<10/one*one) || f.Gate+f.Verifying != gate {
		t.Errorf("%d bytes of votes wait, %d for the next epoch, %d of transactions; it says %+v", votes, early, gate, f)
	}
	w.hold = nil
	n.release()
	w.run(5 * time.Second)
	f = n.driver.Footprint()
	for _, p := range f.Peers {
		if p.Votes+p.Proposals+p.Bulk > 0 {
			t.Errorf("something is held that was verified: %+v", f)
		}
	}
	if f.Gate+f.Verifying+f.Passing+f.Unarchived+f.Held > 0 || slices.Max(f.Pool) > 0 {
		t.Errorf("something is held that is committed: %+v", f)
	}
}

// Messages that wait for the log are counted, and bodies of blocks in flight.
func TestFootprintCountsWhatWaitsForTheLog(t *testing.T) {
	w := newWorldOf(t, 4, 0, func(_ *driver.Config, p *genesis.Params) { p.Window = 4 })
	w.run(1100 * time.Millisecond)
	n := w.leader(0, 0)
	n.mute = true
	n.submit(1, 10, 0, tx.RecordPut{Key: "k", Value: make([]byte, 10_000)})
	w.run(100 * time.Millisecond)
	f := n.driver.Footprint()
	if f.Held < 10_000 || f.Bodies < 10_000 || f.Core.Bytes < 500 || f.Core.Slots == 0 {
		t.Errorf("a block of 10,000 bytes waits for the log: %+v", f)
	}
	n.mute, n.disk.synced = false, len(n.disk.records)
	for _, e := range n.held {
		n.take(e)
	}
	w.run(5 * time.Second)
	n.committed(1)
	if f = n.driver.Footprint(); f.Held+f.Bodies+f.Unarchived > 0 {
		t.Errorf("something is held of what is committed: %+v", f)
	}
}
