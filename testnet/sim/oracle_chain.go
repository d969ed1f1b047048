package sim

import (
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// chain is the one sequence of blocks that everybody must commit, as the first node of
// each shows it.
type chain struct {
	o      *oracle
	blocks []ordered // [0] is block 1
	set    genesis.ValidatorSet
	placed map[tx.ID]position
	nonces map[nonceAt]tx.ID
}

type ordered struct {
	header pbft.Header
	digest pbft.Digest
	ids    []tx.ID
	at     Time
}

// position is where a transaction was committed.
type position struct {
	seq   uint64
	index int
}

type nonceAt struct {
	owner sig.PublicKey
	nonce uint64
}

func newChain(o *oracle) chain {
	return chain{o: o, set: o.w.genesis.Set(), placed: map[tx.ID]position{}, nonces: map[nonceAt]tx.ID{}}
}

// head is how many blocks are committed.
func (c *chain) head() uint64 { return uint64(len(c.blocks)) }

// at returns the block at a sequence number, nil when there is none yet.
func (c *chain) at(seq uint64) *ordered {
	if seq == 0 || seq > c.head() {
		return nil
	}
	return &c.blocks[seq-1]
}

// delivered looks at a block that a node has committed.
func (o *oracle) delivered(n *node, b driver.BlockCommitted) {
	if !o.honest(n) {
		return
	}
	h := &b.Decision.Header
	o.votes.certificate(&b.Decision.Cert)
	o.forks.delivered(h)
	o.pace.last = o.w.now()
	if f := o.votes.committed[h.Seq]; f == nil || f.digest != h.Digest() {
		o.broken("S1", "node %d commits %v without a certificate", n.id, h)
		return
	}
	if b.Block == nil || b.Block.Digest != h.Digest() || b.Block.State.Root() != h.State {
		o.broken("S2", "node %d has another state after %v", n.id, h)
		return
	}
	if h.Seq == o.chain.head()+1 {
		o.chain.extend(h, b.Block.Body.Batch(), b.Block.Next)
	}
	o.sameAs(n, h)
	o.counted(n, &b.Decision.Cert)
}

// counted has a node be bound by its own COMMIT where it has shown a block that it took for
// committed because of it. What it has signed before it lost its log, or its archive, is
// shown to it by others.
func (o *oracle) counted(n *node, c *pbft.Certificate) {
	if !o.losses[n].over(c.Epoch) || c.Seq <= o.unarchived[n] {
		return
	}
	self, member := o.votes.known[c.Epoch].Replica(n.key.Public())
	for _, s := range c.Sigs {
		if member && s.Replica == self && o.left[n] != nil {
			o.bind(n, &pbft.Vote{Subject: c.Subject, Replica: self, Sig: s.Sig})
		}
	}
}

// sameAs compares a node's block with everybody's.
func (o *oracle) sameAs(n *node, h *pbft.Header) {
	if h.Seq == 0 {
		return
	}
	switch x := o.chain.at(h.Seq); {
	case x == nil:
		o.broken("S2", "node %d is at %v, and nobody has committed the blocks before", n.id, h)
	case x.digest != h.Digest():
		o.broken("S2", "node %d has %v, others have %v", n.id, h, &x.header)
	}
}

// extend adds a block to the sequence.
func (c *chain) extend(h *pbft.Header, batch tx.Batch, next genesis.ValidatorSet) {
	o := c.o
	epoch := uint64(0)
	if last := c.at(h.Seq - 1); last != nil {
		if epoch = last.header.Epoch; last.header.Last() {
			epoch++
		}
		if h.Parent != last.digest {
			o.broken("S2", "%v is committed, and stands on another block than %v", h, &last.header)
		}
		if h.Time < last.header.Time {
			o.broken("S2", "%v is committed, and is older than the block before", h)
		}
	}
	switch {
	case h.Epoch != epoch:
		o.broken("S7", "%v is committed, but belongs to epoch %d", h, epoch)
	case h.Committee != c.set.Digest():
		o.broken("S7", "%v is committed, but names another committee", h)
	case int(h.Count) != len(batch) || h.Count == 0:
		o.broken("S2", "%v is committed with %d transactions", h, len(batch))
	}
	o.timely(h)
	var ids []tx.ID
	for i, t := range batch {
		id := t.ID()
		ids = append(ids, id)
		o.renewed(h, id)
		if old, twice := c.placed[id]; twice {
			o.broken("S6", "%s is executed twice, in %d and now in %v", t.Summary(), old.seq, h)
		}
		if o.forged[id] {
			o.broken("S6", "%s is executed in %v, which its owner has not signed", t.Summary(), h)
		}
		at := nonceAt{t.Owner, t.Nonce}
		if _, used := c.nonces[at]; used {
			o.broken("S6", "%s is executed in %v, whose nonce was used before", t.Summary(), h)
		}
		c.placed[id], c.nonces[at] = position{h.Seq, i}, id
	}
	c.blocks = append(c.blocks, ordered{*h, h.Digest(), ids, o.w.now()})
	clear(o.patience.tried)
	o.early()
	if h.Last() {
		if next == nil {
			next = c.set // they go on: an archive notes changes only
		}
		if next.Digest() != h.Next {
			o.broken("S7", "%v is committed with another committee than it names", h)
		}
		c.set = next
		o.votes.begins(h.Epoch+1, c.set)
	}
}

// published looks at a view that a node shows.
func (o *oracle) published(n *node, v *driver.View) {
	n.trace("shows", viewText{v})
	if !o.honest(n) {
		return
	}
	h := &v.Head.Header
	o.sameAs(n, h)
	o.follows(v)
	if v.Head.State.Root() != h.State {
		o.broken("S11", "node %d shows a state that is not that of %v", n.id, h)
	}
	if before := n.program.view; before != nil && h.Seq < before.Head.Header.Seq && v.Halted == "" {
		o.broken("S2", "node %d shows block %d after block %d", n.id, h.Seq, before.Head.Header.Seq)
	}
	if v.Fork != nil {
		o.alarmed(n, v.Fork)
	}
}

// booted checks what a node comes back with.
func (o *oracle) booted(n *node, r *driver.Recovered) {
	if o.honest(n) {
		o.learn(n, r.Head.Header.Seq)
		o.sameAs(n, &r.Head.Header)
	}
	o.w.faults.opened(n, r.Broken != nil)
	if r.Broken != nil && o.honest(n) && !o.w.faults.excuses(n) {
		o.broken("halt", "honest node %d cannot use its log: %v", n.id, r.Broken)
	}
	if r.Lost {
		o.disowned(n)
	}
}

// disowned checks that a node which holds its log for lost, or for an old one, is right.
func (o *oracle) disowned(n *node) {
	if !n.deprived && o.honest(n) {
		o.broken("halt", "honest node %d disowns its log, which is whole", n.id)
	}
}

// learn takes from a node's archive the blocks of which it was about to tell observers
// when it crashed, and nobody else has.
func (o *oracle) learn(n *node, head uint64) {
	a := n.program.shell.Archive()
	for seq := o.chain.head() + 1; seq <= head && o.failed == nil; seq++ {
		d, err := a.Decision(seq)
		if err != nil {
			return
		}
		batch, err := a.Batch(seq)
		if err != nil {
			return
		}
		var next genesis.ValidatorSet
		if hop, err := a.Hop(seq); err == nil {
			next = hop.Validators
		}
		o.votes.certificate(&d.Cert)
		if f := o.votes.committed[seq]; f == nil || f.digest != d.Header.Digest() {
			o.broken("S1", "node %d has stored %v without a certificate", n.id, &d.Header)
			return
		}
		o.chain.extend(&d.Header, batch, next)
	}
}

// ack is what a node has told a client: that a transaction is committed.
type ack struct {
	by *node
	id tx.ID
	driver.Answer
}

// answered looks at what a node tells a client who has handed in a transaction. That comes
// before observers are told of the block, who may never be if the node crashes between.
func (o *oracle) answered(n *node, id tx.ID, a driver.Answer) {
	n.trace("answers", answerText{a})
	if !o.honest(n) || a.Err != nil {
		return
	}
	// The block can be read by whoever has been told of it.
	if head, _ := n.program.shell.Archive().Head(); head < a.Block {
		o.broken("S6", "node %d answers that %v is in block %d, and has blocks up to %d only", n.id, id, a.Block, head)
		return
	}
	x := ack{n, id, a}
	if o.chain.at(a.Block) == nil {
		o.acks = append(o.acks, x)
		return
	}
	o.acknowledged(&x)
}

// acknowledged checks that a transaction is where a node says that it is.
func (o *oracle) acknowledged(a *ack) {
	b := o.chain.at(a.Block)
	if b == nil || a.Index >= len(b.ids) || b.ids[a.Index] != a.id || a.Time != b.header.Time {
		o.broken("S6", "node %d has answered that %v is in block %d at %d, where it is not", a.by.id, a.id, a.Block, a.Index)
	}
}

// early checks what was answered of the block that is the last one now.
func (o *oracle) early() {
	rest := o.acks[:0]
	for i := range o.acks {
		if a := &o.acks[i]; a.Block <= o.chain.head() {
			o.acknowledged(a)
		} else {
			rest = append(rest, *a)
		}
	}
	o.acks = rest
}

// committed reports whether a transaction is in a block that somebody has shown.
func (o *oracle) committed(t *tx.Transaction) bool {
	_, committed := o.chain.placed[t.ID()]
	return committed
}

// tellWithin is how long somebody may wait for what is committed already, as one does who
// comes with it when it has been for a while, or waits where a state was fetched instead of
// the block.
const tellWithin = 2 * Second

// checkTickets looks at who waits when a run is over: nobody does for what is committed
// where it was handed in.
func (o *oracle) checkTickets() {
	first := ticketAt{}
	for at, x := range o.w.tickets.open {
		p, committed := o.chain.placed[x.id]
		if !committed || !o.honest(at.node) || o.w.now()-max(x.since, at.node.program.jumped) < tellWithin || at.node.program.view.Head.Header.Seq < p.seq {
			continue
		}
		if first.node == nil || at.ticket < first.ticket {
			first = at
		}
	}
	if first.node != nil {
		x := o.w.tickets.open[first]
		o.broken("answer", "node %d has block %d, and has not told who waits for %v since %v", first.node.id, o.chain.placed[x.id].seq, x.id, x.since)
	}
}

// checkArchives looks at all that nodes have stored when a run is over.
func (o *oracle) checkArchives() {
	for i := range o.acks {
		o.acknowledged(&o.acks[i])
	}
	o.checkTickets()
	for _, n := range o.w.nodes {
		if n.program == nil || !o.honest(n) {
			continue
		}
		a := n.program.shell.Archive()
		head, _ := a.Head()
		for seq := max(1, a.Earliest()); seq <= head; seq++ {
			d, err := a.Decision(seq)
			if err != nil {
				o.broken("S2", "node %d cannot read its block %d: %v", n.id, seq, err)
				return
			}
			if f := o.votes.committed[seq]; seq > o.chain.head() && f != nil && f.digest == d.Header.Digest() {
				continue // it is certified, and the run was over before anybody's driver was told that it is stored
			}
			o.sameAs(n, &d.Header)
			batch, err := a.Batch(seq)
			if x := o.chain.at(seq); err != nil || x == nil || !slices.Equal(x.ids, batch.IDs()) {
				o.broken("S2", "node %d has other transactions in block %d: %v", n.id, seq, err)
				return
			}
		}
	}
}
