package driver_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// What a leader proposes is in flight as long as its view, and no longer.

// A leader proposes another block to each of the others and is silent from then on.
// Nothing of it is in flight once its view is over: not what honest validators have of
// these transactions, nor their count.
func TestEquivocationThenSilence(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	faulty := w.leader(0, 0)
	others := w.others(faulty)
	faulty.down = true
	for i, n := range others {
		// They are in the honest pools as well, so that what is in flight holds them up.
		batch := w.strangers(byte(i), 500)
		for _, o := range others {
			for _, part := range []tx.Batch{batch[:250], batch[250:]} {
				o.hears(faulty.at, driver.Bulk, codec.Transactions{Encoded: part.AppendTo(nil)})
			}
		}
		b := n.next(n.instant().Wall, batch)
		n.hears(faulty.at, driver.Proposals, w.proposal(faulty, 0, &b.Header, b.Body))
	}
	w.run(150 * time.Millisecond)
	for i, n := range others {
		if n.view.Waiting == 0 || len(n.chain) > 0 {
			t.Fatalf("nothing is in flight:\n%s", w)
		}
		n.submit(intake.Ticket(i+1), 10+i, 0, put(i))
	}
	w.run(5 * time.Second)
	for i, n := range others {
		n.committed(intake.Ticket(i + 1))
		if n.view.Waiting > 0 {
			t.Errorf("transactions wait for ever:\n%s", w)
		}
	}
	w.agree()
	w.voting(others...)
}

// PREPAREs of the first view are lost. The transaction that waits is in the blocks of
// that view, and due again in the next.
func TestTransactionOfADeadView(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	w.lost = func(_, _ int, f codec.Frame) bool {
		v := voteIn(f, pbft.Prepare)
		return v != nil && v.View == 0
	}
	for i, n := range w.nodes {
		n.submit(intake.Ticket(i+1), 10+i, 0, put(i))
	}
	w.run(3 * time.Second)
	for i, n := range w.nodes {
		n.committed(intake.Ticket(i + 1))
	}
	w.agree()
	w.voting(w.nodes...)
}

// COMMITs of the first view are lost: its blocks are prepared, and carried over. What is
// in them is not offered again, and committed once.
func TestTransactionThatIsCarriedOver(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	w.lost = func(_, _ int, f codec.Frame) bool {
		v := voteIn(f, pbft.Commit)
		return v != nil && v.View == 0
	}
	var ids []tx.ID
	for i, n := range w.nodes {
		ids = append(ids, n.submit(intake.Ticket(i+1), 10+i, 0, put(i)).ID())
	}
	w.run(3 * time.Second)
	for i, n := range w.nodes {
		n.committed(intake.Ticket(i + 1))
		times := map[tx.ID]int{}
		for _, block := range n.disk.ids {
			for _, id := range block {
				times[id]++
			}
		}
		for _, id := range ids {
			if times[id] != 1 {
				t.Errorf("node %d has transaction %v %d times", n.at, id, times[id])
			}
		}
		if n.chain[0].Cert.View == 0 {
			t.Errorf("node %d has committed the first block in the view whose COMMITs are lost", n.at)
		}
	}
	w.agree()
	w.voting(w.nodes...)
}

// View after view ends without a decision, each with blocks of its own, and nobody is
// faulty. There is room for the bodies of the next one all the same.
func TestManyFruitlessViews(t *testing.T) {
	const views = 20
	w := newWorldOf(t, 4, 0, func(c *driver.Config, _ *genesis.Params) { c.Core.MaxTimeout = 100 })
	w.run(1100 * time.Millisecond)
	w.lost = func(_, _ int, f codec.Frame) bool { return voteIn(f, pbft.Prepare) != nil }
	// Each view has another transaction, so that each of its blocks is another one.
	ticket := intake.Ticket(0)
	for view := range uint64(views) {
		ticket++
		w.nodes[view%4].submit(ticket, 10+int(view), 0, put(int(view)))
		w.until("another view is over", time.Minute, func() bool {
			for _, n := range w.nodes {
				if n.view.Core == nil || n.view.Core.View <= view {
					return false
				}
			}
			return true
		})
	}
	w.lost = nil
	w.run(10 * time.Second)
	for i := range views {
		w.nodes[i%4].committed(intake.Ticket(i + 1))
	}
	w.agree()
	w.voting(w.nodes...)
}

// One validator proposes hundreds of blocks for each view that it will lead, for the
// present one, and for those of others. Honest leaders have all the room they need, and
// lose neither their place nor a block.
func TestFloodOfProposals(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	faulty := w.leader(0, 3)
	others := w.others(faulty)
	flood := func() {
		tip := others[0].view.Head.Header.Seq
		for seq := tip + 1; seq <= tip+32; seq++ {
			for n := range 8 {
				ids := []tx.ID{{0xbb, byte(seq), byte(n)}}
				h := pbft.Header{
					Seq: seq, Parent: pbft.Digest{1}, Time: 1, Count: 1, Body: tx.Root(ids), State: pbft.Digest{2, byte(n)},
					Committee: w.genesis.Set().Digest(),
				}
				for _, view := range []uint64{0, 1, 3, 7} {
					for _, o := range others {
						o.hears(faulty.at, driver.Proposals, w.proposal(faulty, view, &h, body.FromIDs(ids)))
					}
				}
			}
		}
	}
	const rounds = 6
	for i := range rounds {
		flood()
		others[i%3].submit(intake.Ticket(i+1), 10, uint64(i), put(i))
		w.run(100 * time.Millisecond)
	}
	for i := range rounds {
		others[i%3].committed(intake.Ticket(i + 1))
	}
	for _, n := range others {
		if n.view.Core.View != 0 {
			t.Errorf("an honest leader was given up:\n%s", w)
		}
	}
	w.agree()
	w.voting(others...)
}
