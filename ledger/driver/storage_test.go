package driver_test

import (
	"slices"
	"testing"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// disk is what a node finds when it starts again: the records of its log, and the blocks
// of its archive with the state after each.
type disk struct {
	records []codec.LogRecord
	synced  int // so many of them are durable
	heads   []*driver.Head
	ids     [][]tx.ID // of the blocks of heads but for the first
	stable  *pbft.Certificate
	kept    []any           // by Keep
	lost    bool            // the log was lost, and the place is not taken anew
	void    []codec.Renewal // of before the loss
	lives   int             // drivers that it has had
}

func (d *disk) head() *driver.Head { return d.heads[len(d.heads)-1] }

// add puts a block behind the others.
func (d *disk) add(t *testing.T, decision *pbft.Decision, block *exec.Block) {
	t.Helper()
	last := d.head()
	h := *last
	h.Tip, h.Decision = block.Tip, decision
	var err error
	if h.Params, err = block.State.Params(); err != nil {
		t.Fatal(err)
	}
	if block.Next != nil {
		h.Epoch, h.Next, h.Start = last.Epoch+1, block.Next, block.Header
	}
	d.heads = append(d.heads, &h)
	d.ids = append(d.ids, block.Body.IDs())
}

// startAgain stops nodes at one moment, and starts them again with what their disks hold.
func (w *world) startAgain(nodes ...*node) {
	w.t.Helper()
	for _, n := range nodes {
		n.stop()
	}
	for _, n := range nodes {
		n.start(n.recovered())
		n.begin()
	}
}

// stop ends a node's process: what is not durable is gone.
func (n *node) stop() {
	n.down = true
	n.disk.records = n.disk.records[:n.disk.synced]
	n.held, n.waiting = nil, nil
}

// loseLog takes the log of a node away that is down.
func (n *node) loseLog() { n.disk.records, n.disk.synced, n.disk.lost = nil, 0, true }

// recovered returns what a disk holds, as the shell finds it.
func (n *node) recovered() driver.Recovered {
	t := n.w.t
	t.Helper()
	d := &n.disk
	memory, err := journal.Fold(d.records)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range memory.Blocks() {
		n.redo(&b)
	}
	r := driver.Recovered{
		Head: d.head(), Stored: d.head().Header.Seq, Votes: true, Memory: memory, Decided: memory.Decided(), Lost: d.lost, Stable: d.stable,
	}
	for _, renewal := range memory.Renewals() {
		if slices.Contains(d.void, renewal) {
			continue
		}
		r.Renewals = append(r.Renewals, renewal)
		if at := slices.IndexFunc(d.ids, func(ids []tx.ID) bool { return slices.Contains(ids, renewal.ID) }); at >= 0 {
			r.Renewed = d.heads[at+1].Header.Seq
		}
	}
	return r
}

// redo stores a block of the log that the archive does not have.
func (n *node) redo(b *journal.Block) {
	t := n.w.t
	t.Helper()
	head, h := n.disk.head(), &b.Decision.Header
	if h.Seq != head.Header.Seq+1 || (b.Body == nil && h.Count > 0) {
		return // others have it
	}
	content := body.Empty()
	if h.Count > 0 {
		var err error
		if content, err = body.Decode(b.Body); err != nil {
			t.Fatal(err)
		}
	}
	block, err := exec.Redo(&head.Tip, h, content)
	if err != nil {
		t.Fatal(err)
	}
	n.chain, n.bodies = append(n.chain, b.Decision), append(n.bodies, content)
	n.disk.add(t, b.Decision, block)
}

// loseArchive takes the archive of a node away that is down, and leaves the log, which was
// cut up to a block.
func (n *node) loseArchive(cut uint64) {
	d := &n.disk
	d.heads, d.ids, d.stable = d.heads[:1], nil, nil
	n.chain, n.bodies = nil, nil
	d.records = slices.DeleteFunc(d.records, func(rec codec.LogRecord) bool {
		switch rec := rec.(type) {
		case codec.Accepted:
			return rec.Header.Seq <= cut
		case codec.Prepared:
			return rec.Lock.Header.Seq <= cut
		case codec.Decided:
			return rec.Decision.Header.Seq <= cut
		default:
			return false
		}
	})
	d.synced = len(d.records)
}
