package sim

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/testnet/sim/adversary"
)

const (
	// bodyRetry is the time after which a body is asked for again.
	bodyRetry = 60 * Millisecond
	// maxDrift is how far ahead of a replica's clock a block's time may be.
	maxDrift = 10 * Second
	// maxChecks bounds the blocks whose body is being waited for.
	maxChecks = 256
)

// examine executes the blocks that the core wants checked, as far as they and
// what they stand on are at hand.
func (n *node) examine() {
	if len(n.checks) > maxChecks {
		n.checks = n.checks[len(n.checks)-maxChecks:]
	}
	again := true
	for again {
		again = false
		var left []pbft.Check
		for _, c := range n.checks {
			switch valid, known := n.try(&c); {
			case !known:
				left = append(left, c)
			default:
				again = true
				n.verdict(&c, valid)
			}
		}
		n.checks = left
	}
}

// verdict tells the core what became of a block, after the time that executing
// takes.
func (n *node) verdict(c *pbft.Check, valid bool) {
	core, verdict := n.core, pbft.Checked{View: c.View, Vouched: c.Vouched, Digest: c.Header.Digest(), Valid: valid}
	n.after(n.w.execTime(), func() {
		if n.core == core {
			n.post(item{event: verdict, from: n.id})
		}
	})
}

// try executes a block; known is false while its body or its parent is missing.
func (n *node) try(c *pbft.Check) (valid, known bool) {
	h := &c.Header
	digest := h.Digest()
	if b := n.branch[digest]; b != nil {
		return true, true
	}
	if h.Seq <= n.disk.store.head.Seq {
		b := n.disk.store.at(h.Seq)
		return b == nil || b.decision.Cert.Digest == digest, true
	}
	parent, ok := n.stateAfter(h.Parent)
	if !ok {
		return false, false
	}
	x, ok := n.bodies.get(h.Body)
	if !ok {
		n.wantBody(h.Body)
		return false, false
	}
	if !c.Vouched && Time(h.Time)*Millisecond > n.now()+maxDrift {
		return false, true
	}
	after, next, err := n.w.execute(parent, h.Seq, x)
	if err != nil || next != h.Next || after.root() != h.State || int(h.Count) != len(x) {
		n.trace("finds invalid", h)
		return false, true
	}
	n.branch[digest] = &branch{*h, x, after}
	return true, true
}

// stateAfter returns the state after a block that is executed.
func (n *node) stateAfter(d pbft.Digest) (state, bool) {
	if b := n.branch[d]; b != nil {
		return b.after, true
	}
	if d == n.disk.store.head.Digest() {
		return n.disk.store.after, true
	}
	return state{}, false
}

// wantBody asks somebody for a body until it is here or nobody cares any more.
func (n *node) wantBody(d pbft.Digest) {
	if n.fetch.bodies[d] {
		return
	}
	if n.fetch.bodies == nil {
		n.fetch.bodies = map[pbft.Digest]bool{}
	}
	n.fetch.bodies[d] = true
	n.w.send(n.id, n.w.somePeer(n), wantBody{d})
	n.after(bodyRetry, func() {
		delete(n.fetch.bodies, d)
		n.examine()
	})
}

// propose answers the core's request for a block, as soon as there is something
// to put into it.
func (n *node) propose() {
	if n.build == nil || n.core == nil {
		return
	}
	b := *n.build
	parent, ok := n.stateAfter(b.Parent)
	if !ok {
		return
	}
	above := n.disk.store.head
	if x := n.branch[b.Parent]; x != nil {
		above = x.header
	}
	n.renew()
	txs := n.pool.pick(parent, n.w.cfg.MaxBatch, n.censors, n.w.has(executesTwice))
	if len(txs) == 0 {
		return
	}
	after, next, err := n.w.execute(parent, b.Seq, txs)
	if err != nil {
		n.w.oracle.broken("simulator", "node %d built a block that it cannot execute: %v", n.id, err)
		return
	}
	n.build = nil
	h := pbft.Header{
		Epoch: n.epoch.number, Seq: b.Seq, Parent: b.Parent,
		Time: max(above.Time, int64(n.now()/Millisecond)), Count: uint32(len(txs)),
		Body: n.bodies.add(txs), State: after.root(),
		Committee: n.epoch.start.Following(), Next: next,
	}
	n.branch[h.Digest()] = &branch{h, txs, after}
	core := n.core
	n.after(n.w.buildTime(n), func() {
		if n.core == core {
			n.post(item{event: pbft.Built{View: b.View, Header: h}, from: n.id})
		}
	})
}

// renew has an adversary's next block end its epoch: what asks for that comes first.
func (n *node) renew() {
	r, ok := n.strategy.(adversary.Renewer)
	if !ok || !r.Renews() || slices.ContainsFunc(n.pool.waiting, func(w waiting) bool { return w.tx.Renew }) {
		return
	}
	c := n.w.clients[len(n.w.clients)-1]
	t := tx{Renew: true, Client: c.id, Nonce: c.next}.sealed()
	if c.request(tx{Renew: true}); n.pool.add(&t, n.ticks, &n.disk.store.after) {
		last := len(n.pool.waiting) - 1
		n.pool.waiting = slices.Insert(n.pool.waiting[:last], 0, n.pool.waiting[last])
	}
}

// censors reports whether this node leaves a client's requests out.
func (n *node) censors(client uint8) bool {
	c, ok := n.strategy.(adversary.Censor)
	return ok && c.Censors(client)
}

// deliver makes a decision the head of the store.
func (n *node) deliver(d *pbft.Decision) {
	h := &d.Header
	if h.Seq <= n.disk.store.head.Seq {
		return // fetched from others in the meantime
	}
	n.trace("commits", d)
	if n.w.has(losesBlock) && h.Seq%5 == 0 {
		return
	}
	b := n.branch[d.Header.Digest()]
	if b == nil {
		n.w.oracle.broken("S2", "node %d is to deliver %v, which it has not executed", n.id, d)
		return
	}
	n.w.oracle.delivered(n, d, b.body, &b.after)
	n.disk.store.append(block{d, b.body, b.after})
	n.advanced()
	n.write()
}

// advanced drops what the new head makes superfluous.
func (n *node) advanced() {
	head := n.disk.store.head.Seq
	for d, b := range n.branch { // the order does not show
		if b.header.Seq <= head {
			delete(n.branch, d)
		}
	}
	n.checks = slices.DeleteFunc(n.checks, func(c pbft.Check) bool { return c.Header.Seq <= head })
	if !n.w.has(executesTwice) && !n.w.has(takesEverything) {
		n.pool.executed(&n.disk.store.after)
	}
	n.w.progressed(n)
}

// write makes the store durable, and tells the core so.
func (n *node) write() {
	if n.writing {
		return
	}
	n.writing = true
	snapshot := n.disk.store
	n.after(n.w.storeTime(), func() {
		n.writing = false
		if n.boundary("before the store is durable") {
			return
		}
		if !n.w.has(storedEarly) {
			n.disk.keep(snapshot)
		}
		n.prune()
		n.post(item{event: pbft.Stored{Seq: snapshot.head.Seq}, from: n.id})
		if n.host.Up() && n.disk.store.head.Seq > snapshot.head.Seq {
			n.write()
		}
	})
}

// stabilized takes note of a certified checkpoint, and reports whether it ended
// the epoch.
func (n *node) stabilized(c *pbft.Certificate) bool {
	n.trace("certified:", c)
	n.w.oracle.stable(n, c)
	if s := n.disk.store.stable; s == nil || s.Seq < c.Seq {
		n.disk.store.stable, n.disk.durable.stable = c, c
	}
	below := min(c.Seq, n.disk.durable.head.Seq)
	n.disk.prune(n.needed(below))
	return n.ended()
}

// ended goes on to the next epoch if the store's head is the certified end of this
// one.
func (n *node) ended() bool {
	store := &n.disk.store
	c, b := store.stable, store.at(store.head.Seq)
	if c == nil || b == nil || c.Digest != b.decision.Cert.Digest || !store.head.Last() || store.head.Epoch != n.epoch.number {
		return false
	}
	store.endings = append(store.endings, ending{b.decision, c, b.after.current})
	n.disk.keep(*store)
	n.enter()
	return true
}

// needed returns which records must stay in the log after a checkpoint. Of views,
// only the last one that was entered matters, and what followed.
func (n *node) needed(stable uint64) func(int, *entry) bool {
	log := n.disk.log
	entered := len(log)
	for entered > 0 {
		entered--
		if _, ok := log[entered].record.(pbft.EnteredRecord); ok && log[entered].epoch == n.epoch.number {
			break
		}
	}
	return func(i int, e *entry) bool {
		if e.epoch != n.epoch.number {
			return false
		}
		switch r := e.record.(type) {
		case pbft.AcceptedRecord:
			return r.Header.Seq > stable
		case pbft.PreparedRecord:
			return r.Lock.Header.Seq > stable
		case pbft.DecidedRecord:
			return r.Decision.Header.Seq > stable
		default:
			return i >= entered || n.w.cfg.Fork
		}
	}
}

// prune drops old blocks, so that who lags far behind must take the state.
func (n *node) prune() {
	keep := n.w.cfg.KeepBlocks
	store := &n.disk.store
	if keep == 0 || len(store.blocks) < 2*keep {
		return
	}
	store.blocks = slices.Clone(store.blocks[len(store.blocks)-keep:])
}
