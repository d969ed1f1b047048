package ledger

import (
	"time"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// propose builds the block that this leader may propose, if it is time: at once
// when nothing is in flight, else when a batch is full or has waited long enough,
// which is the longer the more blocks are in flight. A swarm that is fast is not
// kept waiting, and one that is not gets fewer and larger blocks.
// It returns how long to wait otherwise, 0 when there is nothing to wait for.
func (x *executor) propose() time.Duration {
	if x.offer == nil {
		return 0
	}
	o := x.offer
	parent := x.parent(&pbft.Header{Parent: o.Parent})
	if parent == nil {
		return 0
	}
	waiting := x.pool.Len() - x.inFlight()
	if waiting <= 0 {
		return 0
	}
	if inFlight := o.Seq - min(o.Seq, x.head.header.Seq+1); inFlight > 0 && waiting < x.most(parent) {
		if wait := time.Duration(inFlight)*x.cfg.BatchTimeout - time.Since(x.built); wait > 0 { //nolint:gosec // at most a window
			return wait
		}
	}
	x.build(o, parent)
	return 0
}

// inFlight returns how many transactions are in blocks above the head.
func (x *executor) inFlight() int {
	n := 0
	for _, e := range x.ahead {
		n += len(e.body.ids)
	}
	return n
}

// build proposes the next block. Transactions that do not apply on top of what is
// in flight wait; those that do not even apply on top of what is committed go.
func (x *executor) build(o *pbft.Build, parent *state.State) {
	p, err := parent.Params()
	if err != nil {
		x.log.Error("building a block failed", "block", o.Seq, "err", err)
		return
	}
	most := x.most(parent)
	bytes := min(tx.MaxBatchSize, int(p.MaxBlockBytes)) - batchHead //nolint:gosec // validated
	candidates := x.pool.Next(most, bytes, nil)
	before := x.timeOf(o.Parent)
	at := max(time.Now().UnixMilli(), before)
	blk := parent.Begin(o.Seq, at)
	batch := make(tx.Batch, 0, len(candidates))
	var doubtful []*tx.Transaction
	for _, t := range candidates {
		if blk.Apply(t) == nil {
			batch = append(batch, t)
		} else {
			doubtful = append(doubtful, t)
		}
	}
	x.reject(doubtful)
	if len(batch) == 0 {
		return
	}
	after, next, err := blk.Finish()
	if err != nil {
		x.log.Error("building a block failed", "block", o.Seq, "err", err)
		return
	}
	encoded, err := batch.Encode()
	if err != nil {
		x.log.Error("building a block failed", "block", o.Seq, "err", err)
		return
	}
	ids := batch.IDs()
	h := pbft.Header{
		Epoch: x.engineEpoch(), Seq: o.Seq, Parent: o.Parent, Time: at, Committee: x.committeeAfter(o.Parent),
		Count: uint32(len(batch)), Body: tx.Root(ids), State: after.Root(), //nolint:gosec // bounded by tx.MaxBatch
	}
	if next != nil {
		h.Next = next.Digest()
	}
	b := newBody(o.Seq, ids, batch, encoded)
	digest := h.Digest()
	x.bodies.put(h.Body, b)
	x.plan(&executed{header: h, digest: digest, body: b, state: after, next: next})
	x.begun[digest] = time.Now()
	x.offer, x.built = nil, time.Now()
	x.tell(pbft.Built{View: o.View, Header: h})
}

// most returns how many transactions a block on top of parent may have.
func (x *executor) most(parent *state.State) int {
	p, err := parent.Params()
	if err != nil {
		return x.cfg.MaxBatchSize // build says what is wrong
	}
	return min(x.cfg.MaxBatchSize, int(p.MaxBlockTransactions)) //nolint:gosec // validated
}

// batchHead is the most bytes that the number of transactions takes in a body.
const batchHead = 4

// timeOf returns the time of a block above or at the head.
func (x *executor) timeOf(digest pbft.Digest) int64 {
	if e := x.ahead[digest]; e != nil {
		return e.header.Time
	}
	return x.head.header.Time
}

// committeeAfter returns the digest of the validator set that orders the block on
// top of one that is at the head or above it.
func (x *executor) committeeAfter(digest pbft.Digest) pbft.Digest {
	if e := x.ahead[digest]; e != nil {
		return e.header.Following()
	}
	return x.head.header.Following()
}

func (x *executor) engineEpoch() uint64 {
	if e := x.epoch.Load(); e != nil {
		return e.number
	}
	return x.head.epoch
}

// reject drops those transactions that do not apply to the committed state, and
// tells whoever waits for them.
func (x *executor) reject(doubtful []*tx.Transaction) {
	if len(doubtful) == 0 {
		return
	}
	now := max(time.Now().UnixMilli(), x.head.header.Time)
	for _, t := range doubtful {
		err := x.head.state.Begin(x.head.header.Seq+1, now).Apply(t)
		if err == nil {
			continue
		}
		code, final := tx.CodeOf(err)
		if !final {
			x.log.Error("a transaction could not be judged", "err", err)
			continue
		}
		x.pool.Drop([]tx.ID{t.ID()})
		x.observer.Rejected(code)
		x.waiters.tell(t.ID(), outcome{err: err})
	}
}

// recheck drops what has become invalid while it was waiting, or has waited too
// long: it would make this replica suspect the leader.
func (x *executor) recheck() {
	now := x.clock.now()
	if now-x.rechecked < recheckAfter {
		return
	}
	x.rechecked = now
	x.reject(x.pool.Overdue(now, recheckAfter, recheckMost))
	for _, t := range x.pool.Expire(now, expireAfter) {
		x.waiters.tell(t.ID(), outcome{err: tx.Reject(tx.CodeExpired, "waited %v", time.Duration(expireAfter)*tick)})
	}
}

// spreadOverdue sends the longest waiting transactions to all validators again: those
// that wait for longer than the queue does not explain. To send all of a long queue
// again would only make it longer.
func (x *executor) spreadOverdue() {
	now, waiting := x.clock.now(), uint64(x.pool.Len()) //nolint:gosec // not negative
	after := x.core.ForwardAfter
	if passed := x.passed - x.forwarded.passed; passed > 0 {
		after += min(2*waiting*(now-x.forwarded.at)/passed, x.core.CensorTimeout/4)
	}
	x.forwarded.at, x.forwarded.passed = now, x.passed
	x.outgoing.put(x.pool.Overdue(now, after, x.cfg.MaxBatchSize)...)
}
