package sim

import (
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

const (
	// fetchBlocks is how many blocks one answer carries.
	fetchBlocks = 24
	// fetchTimeout is the time after which a request for blocks is given up.
	fetchTimeout = 150 * Millisecond
	// pollTicks is how often a node without a core asks for what is new.
	pollTicks = 30
)

// fetching is what a node is asking others for.
type fetching struct {
	bodies map[pbft.Digest]bool
	chain  bool
	round  int
}

// wantBody asks for a body, haveBody answers.
type (
	wantBody struct{ digest pbft.Digest }
	haveBody struct{ body body }
)

// wantChain asks for what follows a block, haveChain answers: with the blocks,
// or, when they were dropped, with the state after a later one. Endings are those
// of the epochs after the asker's.
type (
	wantChain struct {
		after uint64
		epoch uint64
	}
	haveChain struct {
		endings []ending
		blocks  []block // consecutive
		state   bool    // take the first block's state: what is before was dropped
	}
)

// tip tells who is in an old epoch that there is a later one.
type tip struct{ seq, epoch uint64 }

// catchUp asks somebody for what others have committed already.
func (n *node) catchUp() {
	if n.fetch.chain || !n.host.Up() {
		return
	}
	n.fetch.chain = true
	n.fetch.round++
	round := n.fetch.round
	n.w.send(n.id, n.w.somePeer(n), wantChain{n.disk.store.head.Seq, n.epoch.number})
	n.after(fetchTimeout, func() {
		if n.fetch.round == round {
			n.fetch.chain = false
		}
	})
}

// otherEpoch handles a message of another epoch: who is behind learns of it.
func (n *node) otherEpoch(it *item) {
	switch theirs := pbft.EpochOf(it.message); {
	case theirs > n.epoch.number:
		n.catchUp()
	case theirs < n.epoch.number && n.w.rnd.net.IntN(4) == 0:
		n.w.send(n.id, it.from, tip{n.disk.store.head.Seq, n.epoch.number})
	}
}

// serve answers a request for what follows a block, from what is durable.
func (n *node) serve(from int, want wantChain) {
	c := &n.disk.durable
	have := haveChain{}
	for _, e := range c.endings {
		if e.decision.Header.Epoch >= want.epoch {
			have.endings = append(have.endings, e)
		}
	}
	next := want.after + 1
	switch {
	case c.head.Seq <= want.after:
		if len(have.endings) == 0 {
			return
		}
	case c.at(next) == nil:
		have.state = true
		next = c.blocks[0].decision.Header.Seq
		fallthrough
	default:
		for ; len(have.blocks) < fetchBlocks && next <= c.head.Seq; next++ {
			have.blocks = append(have.blocks, *c.at(next))
		}
	}
	if n.strategy != nil && len(have.blocks) > 0 && n.w.rnd.adversary.IntN(3) == 0 {
		n.w.falsify(&have)
	}
	n.w.send(n.id, from, have)
}

// falsify makes a lie of an answer: one block of it is changed.
func (w *world) falsify(have *haveChain) {
	rnd := w.rnd.adversary
	have.blocks = slices.Clone(have.blocks)
	b := &have.blocks[rnd.IntN(len(have.blocks))]
	d := *b.decision
	switch rnd.IntN(4) {
	case 0:
		d.Cert.Sigs = d.Cert.Sigs[1:]
	case 1:
		d.Header.Time++
		d.Cert.Digest = d.Header.Digest()
	case 2:
		b.body = append(slices.Clone(b.body), tx{})
	default:
		b.after.sum[0]++
		d.Header.State = b.after.root()
		d.Cert.Digest, d.Cert.State = d.Header.Digest(), d.Header.State
	}
	b.decision = &d
}

// fetched checks an answer and adds what is good of it to the store.
func (n *node) fetched(have haveChain) {
	n.fetch.chain = false
	n.fetch.round++
	c, err := n.extend(have)
	if err != nil {
		n.trace("rejects what it fetched:", err)
		return
	}
	if c.beyond(&n.disk.store) {
		n.after(n.w.storeTime(), func() { n.install(c) })
	}
}

// beyond reports whether a chain leads further than another.
func (c *chain) beyond(d *chain) bool {
	if c.head.Seq != d.head.Seq {
		return c.head.Seq > d.head.Seq
	}
	return len(c.endings) > len(d.endings)
}

// extension is a chain that is being verified.
type extension struct {
	w *world
	chain
	epoch   *epoch
	endings []ending // to come
}

// extend returns the store's chain with what was fetched on top, verified block by
// block.
func (n *node) extend(have haveChain) (chain, error) {
	x := &extension{n.w, n.disk.store.clip(), n.epoch, have.endings}
	if n.w.has(trustsPeers) {
		x.trust(&have)
		return x.chain, nil
	}
	if have.state && len(have.blocks) > 0 {
		if err := x.jump(&have.blocks[0]); err != nil {
			return x.chain, err
		}
	}
	if err := x.turn(); err != nil {
		return x.chain, err
	}
	for i := range have.blocks {
		if have.blocks[i].decision.Header.Seq <= x.head.Seq {
			continue
		}
		if err := x.link(&have.blocks[i]); err != nil {
			return x.chain, err
		}
		if err := x.turn(); err != nil {
			return x.chain, err
		}
	}
	return x.chain, nil
}

// turn goes on to the next epoch if the head is known to end the current one.
func (x *extension) turn() error {
	for len(x.endings) > 0 && x.endings[0].decision.Header.Epoch < x.epoch.number {
		x.endings = x.endings[1:]
	}
	if len(x.endings) == 0 || x.endings[0].decision.Header.Digest() != x.head.Digest() {
		return nil
	}
	return x.close()
}

// close checks that an epoch ends and with whom the next begins.
func (x *extension) close() error {
	end := x.endings[0]
	x.endings = x.endings[1:]
	h := &end.decision.Header
	if !h.Last() || end.next.digest() != h.Next {
		return fmt.Errorf("%v does not end an epoch with %v to follow", h, end.next)
	}
	if _, err := x.epoch.verify(end.decision); err != nil {
		return err
	}
	if c := end.checkpoint; c == nil || c.Digest != h.Digest() || !x.epoch.certifies(c, pbft.Checkpoint) {
		return fmt.Errorf("%v is not a certified checkpoint", h)
	}
	x.chain.endings = append(x.chain.endings, end)
	x.epoch = x.w.epochAfter(&x.chain)
	return nil
}

// trust takes over all that comes: what must not be done.
func (x *extension) trust(have *haveChain) {
	for i := range have.blocks {
		if b := have.blocks[i]; b.decision.Header.Seq > x.head.Seq {
			x.append(b)
		}
	}
}

// jump takes over a state instead of the blocks that lead to it.
func (x *extension) jump(b *block) error {
	h := &b.decision.Header
	if h.Seq <= x.head.Seq {
		return nil
	}
	for len(x.endings) > 0 && x.endings[0].decision.Header.Epoch < h.Epoch {
		if err := x.close(); err != nil {
			return err
		}
	}
	if _, err := x.epoch.verify(b.decision); err != nil {
		return err
	}
	if b.after.root() != h.State {
		return fmt.Errorf("a state that is not that of %v", h)
	}
	x.blocks = []block{*b}
	x.head, x.after = *h, b.after
	return nil
}

// link checks the next block and adds it.
func (x *extension) link(b *block) error {
	h := &b.decision.Header
	if h.Seq != x.head.Seq+1 || h.Parent != x.head.Digest() || h.Body != b.body.digest() {
		return fmt.Errorf("%v does not follow %v", h, &x.head)
	}
	if _, err := x.epoch.verify(b.decision); err != nil {
		return err
	}
	after, next, err := x.w.execute(x.after, h.Seq, b.body)
	if err != nil {
		return err
	}
	if next != h.Next || after.root() != h.State {
		return fmt.Errorf("%v is not what executing it gives", h)
	}
	x.append(block{b.decision, b.body, after})
	return nil
}

// install makes what was fetched durable, and tells the core. What the core asked
// for before is done first.
func (n *node) install(c chain) {
	if n.busy {
		n.after(Millisecond, func() { n.install(c) })
		return
	}
	if !c.beyond(&n.disk.store) {
		return // overtaken
	}
	n.trace("installs", &c.head)
	n.w.stats.Synced++
	n.w.oracle.installed(n, &c)
	n.disk.store = c
	n.disk.keep(c)
	n.advanced()
	if e := n.w.epochAfter(&c); e != n.epoch {
		n.disk.prune(func(int, *entry) bool { return n.w.cfg.Fork })
		n.enter()
	} else if n.ended() {
		n.trace("ends its epoch", nil)
	} else if d := n.committed(); d != nil && n.core != nil {
		if verified, err := e.verify(d); err == nil {
			n.post(item{event: pbft.Synced{Decision: verified}, from: n.id})
		}
	}
	n.examine()
	n.propose()
	n.run()
	n.catchUp()
}
