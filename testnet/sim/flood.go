package sim

import (
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/testnet/sim/adversary"
)

// flooder is honest but for what it sends beside: much of one class at once, again and
// again, more than there is room for.
type flooder struct {
	class string
	next  Time
	count uint64
}

// floods are the classes of what others can be flooded with.
var floods = []string{"votes", "next-epoch", "proposals", "bodies", "junk", "transactions"}

// Send implements adversary.Strategy.
func (*flooder) Send(_ *adversary.Replica, envelopes []pbft.Envelope) []adversary.Packet {
	return asTheyAre(envelopes)
}

const (
	// floodEvery is the time between two floods, and floodMost how many there are: those
	// who are flooded have to look at much of it.
	floodEvery = 400 * Millisecond
	floodMost  = 3
)

// flood sends the next lot, if it is time.
func (c *corrupted) flood() {
	f, ok := c.strategy.(*flooder)
	if !ok || f.class == "bodies" || c.n.w.now() < f.next || f.count >= floodMost || !c.n.voting() {
		return
	}
	f.count++
	f.next = c.n.w.now() + floodEvery
	if f.class == "transactions" { // the others work them off
		f.next = c.n.w.now() + floodEvery/8
	}
	for _, b := range c.lot(f) {
		for _, key := range c.set {
			if key != c.n.key.Public() {
				c.n.w.wires.send(c.n, key, b.class, b.frame)
			}
		}
	}
}

// lotFrame is a frame of a flood.
type lotFrame struct {
	class driver.Class
	frame []byte
}

// lot makes what one flood consists of. What it says need not be true, and most of its
// signatures are bad: it takes room before anybody finds out.
func (c *corrupted) lot(f *flooder) (out []lotFrame) {
	add := func(class driver.Class, frames ...codec.Frame) {
		for _, x := range frames {
			out = append(out, lotFrame{class, codec.AppendFrame(nil, x)})
		}
	}
	v := c.n.program.view
	switch f.class {
	case "votes":
		for i := range uint64(5000) {
			add(driver.Votes, c.junkVote(c.place.Epoch, v.Core.View+1+i/100, v.Head.Header.Seq+1+i%100))
		}
	case "next-epoch":
		for i := range uint64(1500) {
			add(driver.Votes, c.junkVote(c.place.Epoch+1, i/100, v.Head.Header.Seq+1+i%100))
		}
	case "proposals":
		for i := range uint64(8) {
			add(driver.Proposals, c.junkProposal(v, i, f.count))
		}
	case "junk":
		for i := range uint64(48) {
			add(driver.Bulk, codec.Transactions{Encoded: c.batch(4, 28<<10, f.count*100+i, false).AppendTo(nil)})
		}
	case "transactions":
		for i := range uint64(34) {
			add(driver.Bulk, codec.Transactions{Encoded: c.batch(4, 28<<10, f.count*100+i, true).AppendTo(nil)})
		}
	}
	return out
}

func (c *corrupted) junkVote(epoch, view, seq uint64) codec.Message {
	s := pbft.Subject{Phase: pbft.Prepare, Epoch: epoch, View: view, Seq: seq}
	for i := range s.Digest {
		s.Digest[i] = byte(c.place.Rand.Uint32())
	}
	return codec.Message{Message: &pbft.Vote{Subject: s, Replica: c.place.Self}}
}

// junkProposal is a large block of a view that the node is to lead.
func (c *corrupted) junkProposal(v *driver.View, i, salt uint64) codec.Frame {
	view := v.Core.View
	for leaderOf(c.set, c.place.Epoch, view) != c.place.Self {
		view++
	}
	content, err := body.FromBatch(c.batch(4, 30<<10, 10_000+100*salt+i, false))
	if err != nil {
		c.n.w.oracle.broken("simulator", "a flood: %v", err)
		return nil
	}
	h := pbft.Header{Epoch: c.place.Epoch, Seq: v.Head.Header.Seq + 1 + i, Count: 4, Body: content.Root(), Committee: v.Head.Header.Following()}
	return codec.Proposal{Proposal: &pbft.Proposal{View: view, Header: h}, Encoded: content.Encoded()}
}

// hoards reports whether the node hands transactions to nobody that are in its blocks,
// unless somebody asks.
func (c *corrupted) hoards() bool {
	f, ok := c.strategy.(*flooder)
	return ok && f.class == "bodies" || adversary.Withholds(c.strategy)
}

// bulk sends bodies and transactions in the adversary's way, if it has one.
func (c *corrupted) bulk(e driver.Send) bool {
	if !c.hoards() {
		return false
	}
	body, ok := e.Frame.(codec.Body)
	if !ok {
		_, passes := e.Frame.(codec.Transactions)
		return passes
	}
	f, ok := c.strategy.(*flooder)
	// Of small ones too few would be there before the first is verified.
	if !ok || f.count >= floodMost || len(body.Encoded) < 8<<10 {
		return false
	}
	f.count++
	b := codec.AppendFrame(nil, body)
	for range 16 << 20 / len(b) {
		for _, key := range e.To {
			c.n.w.wires.send(c.n, key, driver.Bulk, b)
		}
	}
	return true
}

// batch makes transactions with values of a size, with signatures that are good or bad.
func (c *corrupted) batch(n, size int, salt uint64, good bool) tx.Batch {
	w := c.n.w
	out := make(tx.Batch, 0, n)
	for i := range n {
		key := w.keyOf("flood", int(salt)*n+i)
		t, err := tx.Sign(key, w.genesis.ID(), 0, tx.RecordPut{Key: "k", Value: make([]byte, size)})
		if err == nil && !good {
			bad := t.Signature
			bad[0] ^= 1
			if t, err = tx.New(t.Network, t.Owner, t.Nonce, t.Op, bad); err == nil {
				w.oracle.forge(t.ID())
			}
		}
		if err != nil {
			w.oracle.broken("simulator", "a flood: %v", err)
			return nil
		}
		out = append(out, t)
	}
	return out
}
