package driver_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// asksBody returns how many bodies a node has asked for.
func (n *node) asksBody() (asked int) {
	for _, s := range n.sent {
		if _, ok := s.Frame.(codec.Want); ok {
			asked++
		}
	}
	return asked
}

// A body whose transactions are on their way is not asked for at once, and the less while
// what others have passed on is being verified. After a while it is, and of the leader.
func TestBodiesAreAskedForWithPatience(t *testing.T) {
	for _, busy := range []bool{false, true} {
		w := patient(t)
		w.run(1100 * time.Millisecond)
		leader := w.leader(0, 0)
		n := w.others(leader)[0]
		for _, o := range w.others(n) {
			o.down = true
		}
		if busy {
			w.hold = func(_ *node, e driver.Effect) bool {
				_, ok := e.(driver.CheckTxs)
				return ok
			}
			n.hears(w.others(n, leader)[0].at, driver.Bulk, codec.Transactions{Encoded: w.strangers(1, 1).AppendTo(nil)})
		}
		missing := w.strangers(2, 1).IDs()
		h := pbft.Header{
			Seq: 1, Parent: n.view.Head.Digest, Time: n.instant().Wall, Count: 1, Body: tx.Root(missing), State: pbft.Digest{2},
			Committee: w.genesis.Set().Digest(),
		}
		n.hears(leader.at, driver.Proposals, w.proposal(leader, 0, &h, body.FromIDs(missing)))
		w.run(10 * time.Millisecond)
		if n.asksBody() > 0 {
			t.Errorf("busy: %t: it asks at once for what is on its way", busy)
		}
		w.run(100 * time.Millisecond)
		if (n.asksBody() == 0) != busy {
			t.Errorf("busy: %t: after 110 ms it has asked %d times", busy, n.asksBody())
		}
		w.run(400 * time.Millisecond)
		i := slices.IndexFunc(n.sent, func(s driver.Send) bool { _, ok := s.Frame.(codec.Want); return ok })
		if i < 0 || n.sent[i].To[0] != key(leader.at).Public() {
			t.Errorf("busy: %t: it has not asked the leader after half a second", busy)
		}
	}
}

// A block whose parent is not carried out yet waits for nobody's answer: its transactions
// may all be here.
func TestBodyThatCanBePutTogetherIsNotAskedFor(t *testing.T) {
	w := patient(t)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	n := w.others(leader)[0]
	for _, o := range w.others(n) {
		o.down = true
	}
	below := n.next(n.instant().Wall, w.strangers(1, 1))
	here := n.submit(1, 10, 0, put(1))
	b, _, err := exec.Build(&below.Tip, exec.Limits{Transactions: 1, Bytes: tx.MaxBatchSize}, tx.Batch{here}, n.instant().Wall)
	if err != nil {
		t.Fatal(err)
	}
	carriedOut := false
	w.hold = func(_ *node, e driver.Effect) bool {
		_, ok := e.(driver.Execute)
		carriedOut = carriedOut || ok
		return ok
	}
	n.hears(leader.at, driver.Proposals, w.proposal(leader, 0, &below.Header, below.Body))
	n.hears(leader.at, driver.Proposals, w.proposal(leader, 0, &b.Header, body.FromIDs(b.Body.IDs())))
	w.run(2 * time.Second)
	if asked := n.asksBody(); asked > 0 || !carriedOut {
		t.Errorf("it asks %d times for transactions that are here; the block below is carried out: %t", asked, carriedOut)
	}
}

// What waits holds its own memory, and not that of the frame that it came in.
func TestWaitingTransactionsAreCopied(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	from := w.others(leader)[0]
	held := func(_ *node, e driver.Effect) bool {
		x, ok := e.(driver.Execute)
		if !ok {
			return false
		}
		_, builds := x.Task.(driver.BuildBlock)
		return builds
	}
	w.hold = held
	one := w.strangers(1, 1)[0]
	encoded := codec.AppendFrame(nil, codec.Transactions{Encoded: tx.Batch{one}.AppendTo(nil)})
	f, err := driver.Read(driver.Bulk, encoded, codec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it waits already
		leader.take(driver.Arrived{From: key(from.at).Public(), Frame: f})
		w.run(50 * time.Millisecond)
	}
	clear(encoded)
	w.hold = nil
	leader.release()
	w.run(500 * time.Millisecond)
	for _, n := range w.nodes {
		if ids := n.disk.ids; len(ids) != 1 || !slices.Equal(ids[0], []tx.ID{one.ID()}) {
			t.Errorf("node %d has committed %v, want %v", n.at, ids, one.ID())
		}
	}
}

// Transactions go out in frames that any replica accepts, however small blocks may be:
// a frame that cannot be read ends the test.
func TestTransactionsFitTheSmallestFrame(t *testing.T) {
	w := newWorldOf(t, 4, 0, func(_ *driver.Config, p *genesis.Params) { p.MaxBlockBytes = 128 << 10 })
	if err := w.genesis.Params.Validate(); err != nil || w.genesis.Params.MaxBlockBytes != 128<<10 {
		t.Fatalf("%+v, %v", w.genesis.Params, err)
	}
	w.run(1100 * time.Millisecond)
	n := w.others(w.leader(0, 0))[0]
	const count = 40
	for i := range count {
		size := 60 << 10 // one of the largest there are, or many small ones
		if i%2 > 0 {
			size = 100
		}
		n.submit(intake.Ticket(i+1), 100+i, 0, tx.RecordPut{Key: "k", Value: make([]byte, size)})
	}
	w.run(5 * time.Second)
	for i := range count {
		n.committed(intake.Ticket(i + 1))
	}
}

// Blocks go on while the archive is made durable, and those of that time are then made
// durable too. A disk that fails ends everything.
func TestArchiveIsMadeDurableBeside(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	n := w.nodes[0]
	var syncs []driver.SyncStore
	w.hold = func(at *node, e driver.Effect) bool {
		s, ok := e.(driver.SyncStore)
		if ok && at == n {
			syncs = append(syncs, s)
		}
		return ok && at == n
	}
	for i := range 20 {
		n.submit(intake.Ticket(i+1), 10, uint64(i), put(i))
		w.run(100 * time.Millisecond)
	}
	for i := range 20 {
		n.committed(intake.Ticket(i + 1))
	}
	if len(syncs) != 1 {
		t.Fatalf("%d are on their way at a time", len(syncs))
	}
	head := n.view.Head.Header.Seq
	w.hold = nil
	n.release()
	last := uint64(0)
	w.hold = func(at *node, e driver.Effect) bool {
		if s, ok := e.(driver.SyncStore); ok && at == n {
			last = max(last, s.Seq)
		}
		return false
	}
	w.run(time.Second)
	if last < head {
		t.Errorf("it is durable up to %d and %d, of %d", syncs[0].Seq, last, head)
	}
	broken := errors.New("no more disk")
	n.take(driver.StoreFailed{Err: broken})
	w.run(10 * time.Millisecond)
	if !errors.Is(n.halted, broken) {
		t.Errorf("it goes on with a disk that fails: %v", n.halted)
	}
}
