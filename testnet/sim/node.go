package sim

import (
	"errors"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/testnet/sim/adversary"
	"github.com/decube/decube/testnet/sim/kernel"
)

// groupSize is how many events may share one fsync.
const groupSize = 32

// maxInbox bounds what waits for a replica that is paused or writing.
const maxInbox = 4096

// item is something for the core: an event, or a message that is not verified yet.
type item struct {
	event   pbft.Event
	message pbft.Message
	from    int
}

// node is one running copy of a replica's program with its disk: the driver of
// the core. Twins are two nodes of one identity.
type node struct {
	w    *world
	id   int
	who  identity
	disk *disk

	host   *kernel.Host
	halted error

	epoch *epoch
	self  quorum.Replica
	core  *pbft.Replica // nil while this node is not of the committee

	inbox   []item
	running bool
	busy    bool // waiting for fsync

	pool    pool
	bodies  bodies
	branch  map[pbft.Digest]*branch // executed blocks above the store's head
	checks  []pbft.Check            // blocks whose body or parent is not at hand yet
	build   *pbft.Build
	writing bool // the store is being made durable
	fetch   fetching

	tickEvery Time // on this node's clock
	skew      Time // of its clock
	ticks     uint64

	crashAt  int // boundaries until the node crashes, 0 for never
	strategy adversary.Strategy
	place    *adversary.Replica
	recover  bool    // abstaining because the log was lost
	marker   request // asked for after the loss: an epoch that begins after it is a new one
}

// branch is a block that was executed and is not committed yet.
type branch struct {
	header pbft.Header
	body   body
	after  state
}

// now is the time on the node's clock.
func (n *node) now() Time { return n.w.now() + n.skew }

func (n *node) trace(verb string, what any) { n.w.trace(n.id, verb, nobody, what) }

// after does something later unless the node has crashed by then.
func (n *node) after(d Time, do func()) { n.host.After(d, do) }

// post queues something for the core.
func (n *node) post(it item) {
	if n.core == nil || len(n.inbox) >= maxInbox {
		return
	}
	n.inbox = append(n.inbox, it)
	n.run()
}

// run feeds the core until it has to wait for the disk.
func (n *node) run() {
	if n.running {
		return
	}
	n.running = true
	for n.host.Up() && !n.busy && !n.host.Paused() && len(n.inbox) > 0 {
		n.turn()
	}
	n.running = false
}

// turn steps the core through what is queued and does what it asks for.
func (n *node) turn() {
	var out pbft.Output
	take := min(len(n.inbox), groupSize)
	items := n.inbox[:take]
	n.inbox = n.inbox[take:]
	if len(n.inbox) == 0 {
		n.inbox = nil
	}
	for i := range items {
		next := n.step(&items[i])
		out.Join(&next)
	}
	n.perform(&out)
}

// step verifies a message, if the item is one, and gives it to the core.
func (n *node) step(it *item) pbft.Output {
	e := it.event
	if it.message != nil {
		if pbft.EpochOf(it.message) == n.epoch.number && !n.core.Useful(it.message) {
			return pbft.Output{} // not worth a look at its signatures
		}
		verified, err := n.epoch.verify(it.message)
		if err != nil {
			n.rejected(it, err)
			return pbft.Output{}
		}
		e = pbft.Receive{Message: verified}
	}
	return n.core.Step(e)
}

// rejected notes a message that did not verify. One of another epoch says that
// somebody lags behind.
func (n *node) rejected(it *item, err error) {
	n.w.stats.Rejected++
	if errors.Is(err, pbft.ErrEpoch) {
		n.otherEpoch(it)
		return
	}
	n.w.trace(n.id, "rejects from", it.from, it.message)
}

// perform does the driver's duty: persist, then send, then deliver, then the
// rest. A node may crash at every boundary.
func (n *node) perform(out *pbft.Output) {
	if out.Halt != nil {
		n.w.oracle.evidence(n, out.Evidence)
		n.halt(out.Halt)
		return
	}
	if n.w.has(sendsFirst) {
		n.sendAll(out)
	}
	if len(out.Persist) == 0 {
		n.finish(out)
		return
	}
	if n.boundary("before append") {
		return
	}
	if err := n.disk.append(n.entries(out.Persist)...); err != nil {
		n.halt(err)
		return
	}
	if n.boundary("before fsync") {
		return
	}
	n.busy = true
	n.after(n.w.fsyncTime(), func() {
		n.busy = false
		if !n.w.has(noFsync) {
			n.disk.sync()
		}
		if !n.boundary("after fsync") {
			n.finish(out)
		}
		n.run()
	})
}

// entries adds to records what the driver writes with them.
func (n *node) entries(records []pbft.Record) []entry {
	out := make([]entry, 0, len(records))
	for _, r := range records {
		e := entry{epoch: n.epoch.number, record: r}
		switch r := r.(type) {
		case pbft.EnteredRecord:
			e.record = pbft.EnteredRecord{NewView: n.epoch.strip(r.NewView)}
		case pbft.AcceptedRecord:
			e.body, e.hasBody = n.findBody(r.Header.Body)
		case pbft.DecidedRecord:
			e.body, e.hasBody = n.findBody(r.Decision.Header.Body)
		}
		n.trace("writes", recordText{r})
		out = append(out, e)
	}
	return out
}

// finish sends, delivers and does the rest.
func (n *node) finish(out *pbft.Output) {
	for i := range out.Notes {
		n.w.noted(n, &out.Notes[i])
	}
	if !n.sendAll(out) {
		return
	}
	n.w.oracle.evidence(n, out.Evidence)
	for _, d := range out.Deliver {
		if n.boundary("before a delivery") {
			return
		}
		n.deliver(d)
	}
	n.checks = append(n.checks, out.Check...)
	if out.Build != nil {
		n.build = out.Build
	}
	if out.Sync != nil && !n.w.has(ignoresSync) && out.Sync.Seq > n.disk.store.head.Seq {
		n.catchUp()
	}
	if out.Forward && !n.mute() {
		n.forward()
	}
	if n.w.has(endsEarly) && len(out.Deliver) > 0 && n.disk.store.head.Last() {
		d := n.committed()
		s := d.Cert.Subject
		s.Phase, s.View = pbft.Checkpoint, 0
		n.disk.store.stable = &pbft.Certificate{Subject: s}
	}
	if out.Stable != nil && n.stabilized(out.Stable) || len(out.Deliver) > 0 && n.ended() {
		return
	}
	n.examine()
	n.propose()
}

// sendAll sends what is to be sent, once. It returns false if the node has died.
func (n *node) sendAll(out *pbft.Output) bool {
	send := out.Send
	out.Send = nil
	for _, p := range n.outgoing(send) {
		if n.boundary("before a send") {
			return false
		}
		n.transmit(p)
	}
	return true
}

// outgoing lets an adversary have its way with what is sent.
func (n *node) outgoing(envelopes []pbft.Envelope) []adversary.Packet {
	if n.strategy != nil {
		return n.strategy.Send(n.place, envelopes)
	}
	out := make([]adversary.Packet, 0, len(envelopes))
	for _, e := range envelopes {
		out = append(out, adversary.Packet{Envelope: e})
	}
	return out
}

// halt stops the node for good: its operator has to look at it.
func (n *node) halt(err error) {
	n.trace("halts:", err)
	n.halted = err
	n.stop()
	n.w.faults.halted(n)
}

// stop ends the program. Memory is gone, the disk stays.
func (n *node) stop() {
	n.host.Stop()
	n.busy, n.writing = false, false
	n.core, n.inbox, n.branch, n.checks, n.build = nil, nil, nil, nil, nil
	n.pool, n.bodies, n.fetch = pool{}, bodies{}, fetching{}
	n.disk.crash(n.w.rnd.disk)
}

// boundary is a place where the program may die. It reports whether it did.
func (n *node) boundary(where string) bool {
	if n.crashAt == 0 {
		return false
	}
	n.crashAt--
	if n.crashAt > 0 {
		return false
	}
	n.w.stats.Crashes++
	n.trace("crashes "+where, nil)
	n.stop()
	n.w.faults.crashed(n)
	return true
}

// tick lets time pass for the core.
func (n *node) tick() {
	n.ticks++
	if n.core == nil {
		if n.ticks%pollTicks == 0 {
			n.catchUp()
		}
		return
	}
	if t, ok := n.strategy.(adversary.Ticker); ok {
		for _, p := range t.Tick(n.place) {
			n.transmit(p)
		}
	}
	if n.ticks%boundTicks == 0 {
		n.w.oracle.bounded(n)
	}
	oldest := n.pool.oldest(n.ticks)
	if n.w.has(ignoresRequests) {
		oldest = 0
	}
	n.post(item{event: pbft.Tick{Oldest: oldest, Waiting: uint64(len(n.pool.waiting))}, from: n.id})
}
