package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
)

// putBack has three of four validators commit blocks, and then puts a log in the place of
// one's whole disk.
func putBack(t *testing.T, records func(own []codec.LogRecord) []codec.LogRecord) (w *world, n *node, from driver.Recovered) {
	t.Helper()
	w = newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	w.nodes[3].down = true // so that the others' signatures are all needed
	for i := range 5 {
		w.nodes[0].submit(intake.Ticket(i+1), 10, uint64(i), put(i))
		w.run(100 * time.Millisecond)
	}
	old := w.nodes[1]
	if len(old.chain) != 5 {
		t.Fatalf("%d blocks", len(old.chain))
	}
	memory, err := journal.Fold(records(old.disk.records))
	if err != nil {
		t.Fatal(err)
	}
	return w, old, driver.Recovered{Votes: true, Memory: memory, Decided: memory.Decided()}
}

// votes returns the votes for blocks that a node has sent, of its own.
func (n *node) votes() (out []*pbft.Vote) {
	self, _ := n.w.genesis.Set().Replica(key(n.at).Public())
	for _, s := range n.sent {
		if m, ok := s.Frame.(codec.Message); ok {
			if v, ok := m.Message.(*pbft.Vote); ok && v.Phase != pbft.Checkpoint && v.Replica == self {
				out = append(out, v)
			}
		}
	}
	return out
}

// Whoever puts an old copy of a validator's disk back has it vote again on what it has
// forgotten. Its own signatures under blocks that others have show that.
func TestOldDiskIsNoticed(t *testing.T) {
	w, _, from := putBack(t, func([]codec.LogRecord) []codec.LogRecord { return nil })
	n := w.restart(1, from)
	n.sources(0, 2)
	w.run(1500 * time.Millisecond)
	if len(n.chain) != 5 || !n.disowned || !n.view.Recovering {
		t.Fatalf("%d blocks, disowned %v, %+v", len(n.chain), n.disowned, n.view)
	}
	w.nodes[3].down = false
	w.nodes[0].submit(9, 10, 5, put(9))
	w.run(time.Second)
	if votes := n.votes(); len(votes) > 0 {
		t.Errorf("a validator whose disk is old has voted: %v", votes[0])
	}
}

// A log that has all that its replica has said is none, whatever the archive lacks.
func TestArchiveAloneIsNoOldDisk(t *testing.T) {
	w, _, from := putBack(t, func(own []codec.LogRecord) []codec.LogRecord { return own })
	from.Decided = 0 // as if decisions, which nobody waits for, had not been durable
	n := w.restart(1, from)
	n.sources(0, 2)
	w.run(1500 * time.Millisecond)
	if len(n.chain) != 5 || n.disowned || n.view.Recovering || n.view.Core == nil {
		t.Fatalf("%d blocks, disowned %v, %+v", len(n.chain), n.disowned, n.view)
	}
}
