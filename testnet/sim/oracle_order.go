package sim

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// order is the one sequence of blocks that everybody must commit, as the first
// honest replica committed it.
type order struct {
	o        *oracle
	blocks   []ordered // the block at sequence number i+1
	state    state
	executed map[request]bool
	heads    map[*node]uint64 // how far each honest node says it is
}

type ordered struct {
	digest pbft.Digest
	header pbft.Header
	after  state
	at     Time
}

func newOrder(o *oracle) order {
	return order{o: o, state: o.w.first.after, executed: map[request]bool{}, heads: map[*node]uint64{}}
}

// head is how many blocks are committed.
func (d *order) head() uint64 { return uint64(len(d.blocks)) }

// at returns the block at a sequence number, nil when there is none yet.
func (d *order) at(seq uint64) *ordered {
	if seq == 0 || seq > d.head() {
		return nil
	}
	return &d.blocks[seq-1]
}

// delivered looks at a block that a node commits.
func (o *oracle) delivered(n *node, dec *pbft.Decision, b body, after *state) {
	if !o.honest(n) || o.w.cfg.Fork {
		return
	}
	h := &dec.Header
	if h.Seq != n.disk.store.head.Seq+1 || h.Parent != n.disk.store.head.Digest() {
		o.broken("S2", "node %d commits %v on top of %v", n.id, h, &n.disk.store.head)
		return
	}
	o.votes.certificate(&dec.Cert)
	f := o.votes.committed[h.Seq]
	if f == nil || f.digest != h.Digest() {
		o.broken("S1", "node %d commits %v without a certificate", n.id, h)
		return
	}
	if after.root() != h.State {
		o.broken("S2", "node %d has another state after %v", n.id, h)
	}
	if h.Seq == o.order.head()+1 {
		o.order.extend(h, b)
	}
	o.sameAs(n, h)
}

// sameAs compares a node's block with everybody's.
func (o *oracle) sameAs(n *node, h *pbft.Header) {
	switch x := o.order.at(h.Seq); {
	case x == nil:
		o.broken("S2", "node %d is at %v, and nobody has committed the blocks before", n.id, h)
	case x.digest != h.Digest():
		o.broken("S2", "node %d commits %v, others have %v", n.id, h, &x.header)
	}
}

// extend adds a block to the sequence and executes it, in the oracle's own books.
func (d *order) extend(h *pbft.Header, b body) {
	o := d.o
	if h.Body != b.digest() {
		o.broken("S2", "%v is committed with another body", h)
	}
	for i := range b {
		r := b[i].request()
		if d.executed[r] {
			o.broken("S6", "request %v is executed twice, now in %v", &b[i], h)
		}
		d.executed[r] = true
		o.done(r)
	}
	epoch := uint64(1)
	if last := d.at(h.Seq - 1); last != nil {
		epoch = last.header.Epoch
		if last.header.Last() {
			epoch++
		}
	}
	if h.Epoch != epoch {
		o.broken("S7", "%v is committed, but belongs to epoch %d", h, epoch)
	}
	if h.Committee != d.state.current.digest() {
		o.broken("S7", "%v is committed, but names a committee that is not %v", h, d.state.current)
	}
	if last := d.at(h.Seq - 1); last != nil && h.Time < last.header.Time {
		o.broken("S2", "%v is committed, and is older than the block before", h)
	}
	after, next, err := d.state.execute(h.Seq, b, o.w.cfg.EpochLength)
	if err != nil || after.root() != h.State || next != h.Next {
		o.broken("S2", "%v is committed, but executing it gives something else: %v", h, err)
	}
	d.state = after
	clear(o.patience.tried)
	d.blocks = append(d.blocks, ordered{h.Digest(), *h, after, o.w.now()})
	if h.Last() {
		o.votes.begins(epoch+1, after.current)
	}
	for _, c := range o.w.clients {
		for i := range b {
			if b[i].Client == c.id {
				c.executed(&b[i])
			}
		}
	}
}

// installed looks at a chain that a node takes over from others.
func (o *oracle) installed(n *node, c *chain) {
	if !o.honest(n) || o.w.cfg.Fork {
		return
	}
	for i := range c.blocks {
		o.votes.certificate(&c.blocks[i].decision.Cert)
	}
	for i := range c.endings {
		o.votes.certificate(c.endings[i].checkpoint)
	}
	if f := o.votes.committed[c.head.Seq]; f == nil || f.digest != c.head.Digest() {
		o.broken("S11", "node %d installs %v, which is not certified", n.id, &c.head)
		return
	}
	if c.after.root() != c.head.State {
		o.broken("S11", "node %d installs a state that is not that of %v", n.id, &c.head)
	}
	for i := range c.blocks {
		h := &c.blocks[i].decision.Header
		if h.Seq == o.order.head()+1 {
			o.order.extend(h, c.blocks[i].body)
		}
		if i == len(c.blocks)-1 || h.Seq > n.disk.store.head.Seq {
			o.sameAs(n, h)
		}
	}
}

// stable checks that a checkpoint is certified.
func (o *oracle) stable(n *node, c *pbft.Certificate) {
	if o.honest(n) && !o.votes.certified(c.Subject) {
		o.broken("S7", "node %d takes %v for certified", n.id, c)
	}
}

// entered checks that a node begins an epoch from a certified checkpoint.
func (o *oracle) entered(n *node, e *epoch) {
	if !o.honest(n) || e.number == 1 || o.w.cfg.Fork {
		return
	}
	h := &e.start
	s := pbft.Subject{Phase: pbft.Checkpoint, Epoch: h.Epoch, Seq: h.Seq, Digest: h.Digest(), State: h.State}
	x := o.order.at(h.Seq)
	switch {
	case x == nil || x.digest != s.Digest || !h.Last() || h.Epoch+1 != e.number:
		o.broken("S7", "node %d begins epoch %d after %v, which is not the end of one", n.id, e.number, h)
	case x.after.current != e.members:
		o.broken("S7", "node %d begins epoch %d with %v instead of %v", n.id, e.number, e.members, x.after.current)
	case !o.votes.certified(s):
		o.broken("S7", "node %d begins epoch %d after %v, which is not a certified checkpoint", n.id, e.number, h)
	}
}

// booted checks what a node comes back with.
func (o *oracle) booted(n *node) {
	if !o.honest(n) || n.disk.store.head.Seq == 0 || o.w.cfg.Fork {
		return
	}
	o.sameAs(n, &n.disk.store.head)
}

// asked is a request that somebody honest has taken up.
type asked struct {
	first Time
	done  bool
}

// accepted takes note that a node has taken a request up.
func (o *oracle) accepted(n *node, r request) {
	if o.honest(n) && o.requests[r] == nil {
		o.requests[r] = &asked{first: o.w.now(), done: o.order.executed[r]}
	}
}

func (o *oracle) done(r request) {
	if a := o.requests[r]; a != nil {
		a.done = true
	}
}

// open returns the requests that were taken up and are not executed, in the order
// of their names.
func (o *oracle) open() []request {
	var out []request
	for r, a := range o.requests {
		if !a.done {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b request) int {
		if a.client != b.client {
			return int(a.client) - int(b.client)
		}
		return int(a.nonce) - int(b.nonce)
	})
	return out
}
