package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

func TestCommits(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	const count = 40
	for i := range count {
		w.nodes[i%4].submit(intake.Ticket(i+1), 10, uint64(i), put(i))
	}
	w.run(2 * time.Second)
	w.agree()
	for i := range count {
		a, ok := w.nodes[i%4].answers[intake.Ticket(i+1)]
		if !ok || a.Err != nil || a.Block == 0 {
			t.Fatalf("transaction %d: %+v, %v", i, a, ok)
		}
	}
	for _, n := range w.nodes {
		if n.view.Head.Header.Seq == 0 || n.view.Core == nil || n.view.Core.View != 0 || n.view.Waiting != 0 {
			t.Errorf("node %d: %+v, head %v", n.at, n.view.Core, &n.view.Head.Header)
		}
	}
}

// What a replica says rests on what its log holds: nothing of the core leaves before.
func TestNothingLeavesBeforeItIsDurable(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	slow := w.nodes[1]
	slow.mute, slow.sent = true, nil
	w.nodes[0].submit(1, 10, 0, put(1))
	w.run(300 * time.Millisecond)
	if a := w.nodes[0].answers[1]; a.Block != 1 {
		t.Fatalf("%+v: three of four should do", a)
	}
	for _, s := range slow.sent {
		m, ok := s.Frame.(codec.Message)
		if !ok {
			continue
		}
		if v, ok := m.Message.(*pbft.Vote); ok {
			t.Errorf("sent %v, whose record is not durable", v)
		}
	}
	if len(slow.chain) > 0 || slow.view.Head.Header.Seq > 0 {
		t.Errorf("the archive, or the view, has block %d", slow.view.Head.Header.Seq)
	}
	slow.mute = false
	for _, e := range slow.held {
		slow.take(e)
	}
	w.run(1100 * time.Millisecond)
	if len(slow.chain) != 1 || slow.view.Head.Header.Seq != 1 {
		t.Errorf("%d blocks once the log is durable", len(slow.chain))
	}
}

func TestDeadLeaderIsReplaced(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	w.nodes[0].submit(1, 10, 0, put(1))
	w.run(200 * time.Millisecond)
	w.nodes[0].down = true
	w.nodes[1].submit(2, 10, 1, put(2))
	w.run(900 * time.Millisecond)
	w.agree()
	if a := w.nodes[1].answers[2]; a.Err != nil || a.Block != 2 {
		t.Fatalf("%+v, %+v", a, w.nodes[1].view.Core)
	}
}

func TestEveryEventIsTaken(t *testing.T) {
	w := newWorld(t, 4)
	n := w.nodes[0]
	for _, e := range []driver.Event{
		driver.Alarm{},
		driver.Malformed{From: key(2).Public()},
		driver.Linked{Peer: key(2).Public()},
		driver.Lost{Peer: key(2).Public()},
		driver.Withdrawn{Ticket: 9},
		driver.Sources{},
		driver.Item{Ask: 9},
		driver.Ended{Ask: 9},
		driver.DiskFree{Bytes: 1},
		driver.Durable{},
		driver.VotesChecked{Job: 99},
		driver.TxsChecked{Job: 99},
		driver.Executed{Job: 99},
		driver.Judged{Job: 99},
		driver.Peeked{Job: 99},
		driver.Loaded{Job: 99},
		driver.Archived{},
		driver.Stored{},
		driver.Accused{Fork: &driver.Fork{}},
		driver.KeyInUse{},
	} {
		n.take(e)
	}
	w.run(1100 * time.Millisecond)
	if n.halted != nil || n.view.Halted == "" {
		t.Errorf("halted %v, view %q", n.halted, n.view.Halted)
	}
}

// A full disk is for what gets the ledger out of trouble, and for nothing else.
func TestFullDisk(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	for _, n := range w.nodes[1:] {
		n.take(driver.DiskFree{Bytes: 200 << 20})
	}
	w.nodes[1].submit(1, 10, 0, put(1))
	w.nodes[0].submit(2, 10, 0, put(1))
	w.run(300 * time.Millisecond)
	if code, _ := tx.CodeOf(w.nodes[1].answers[1].Err); code != tx.CodeQueueFull {
		t.Errorf("a peer whose disk is full takes a transaction: %+v", w.nodes[1].answers[1])
	}
	if a, ok := w.nodes[0].answers[2]; ok {
		t.Errorf("three peers whose disks are full have voted for a block: %+v", a)
	}
	for _, n := range w.nodes[1:] {
		n.take(driver.DiskFree{Bytes: 2 << 30})
	}
	w.run(3 * time.Second)
	if a := w.nodes[0].answers[2]; a.Block == 0 {
		t.Errorf("not committed once there is room: %+v", a)
	}
}
