package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// A validator has fetched the last block of an epoch, and votes in the next one. The power
// fails before that block is durable in its archive. Its log knows what its votes stand on:
// it does not take part in the epoch before, where it would forget them.
func TestEpochThatBeginsOnAFetchedBlock(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	late := w.others(w.leader(0, 0), w.leader(1, 0))[0]
	others := w.others(late)
	late.stop()
	own := key(others[0].at).Public()
	others[0].submit(1, others[0].at, 0, tx.ValidatorAdd{Key: own, Replaces: own, Salt: [16]byte{1}})
	w.run(2 * time.Second)
	last := others[0].committed(1)
	w.startAgain(late)
	late.sources(others[0].at, others[1].at)
	w.until("it votes in the next epoch", 5*time.Second, func() bool { return late.view.Core != nil && late.view.Core.Epoch == 1 })
	w.lost = func(_, _ int, f codec.Frame) bool { return voteIn(f, pbft.Commit) != nil }
	others[0].submit(2, 10, 0, put(1))
	w.run(100 * time.Millisecond)
	if len(late.votes()) == 0 {
		t.Fatalf("it has not voted:\n%s", w)
	}
	late.stop()
	late.disk.heads, late.disk.ids = late.disk.heads[:last], late.disk.ids[:last-1] // of before the last block
	late.chain, late.bodies = late.chain[:last-1], late.bodies[:last-1]
	late.disk.stable, late.sent = nil, nil
	late.start(late.recovered())
	late.begin()
	w.run(5 * time.Second) // others it does not hear
	if c := late.view.Core; c != nil && c.Epoch == 0 {
		t.Errorf("it votes in epoch 0 after it has voted in epoch 1:\n%s", w)
	}
	late.sources(others[0].at, others[1].at)
	w.until("it votes in the next epoch", 5*time.Second, func() bool { return late.view.Core != nil && late.view.Core.Epoch == 1 })
	w.run(100 * time.Millisecond)
	if votes := late.votes(); len(votes) == 0 || votes[0].Subject.Epoch != 1 {
		t.Errorf("it does not vote again: %v", votes)
	}
}
