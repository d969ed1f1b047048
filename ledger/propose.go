package ledger

import (
	"time"

	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// propose builds the block that this leader may propose, if it is time: at once
// when nothing is in flight, else when a batch is full or has waited long enough,
// which is the longer the more blocks are in flight. A swarm that is fast is not
// kept waiting, and one that is not gets fewer and larger blocks.
// It returns how long to wait otherwise, 0 when there is nothing to wait for. The error
// is a disk's.
func (x *executor) propose() (time.Duration, error) {
	if x.offer == nil {
		return 0, nil
	}
	o := x.offer
	parent := x.parent(o.Parent)
	if parent == nil {
		return 0, nil
	}
	// What is in blocks in flight waits still, and is not to be proposed twice.
	waiting := x.pool.ready()
	if waiting <= 0 {
		return 0, nil
	}
	limits, err := exec.LimitsOn(parent, exec.Limits{Transactions: x.cfg.MaxBatchSize, Bytes: tx.MaxBatchSize})
	if err != nil {
		return 0, err
	}
	if inFlight := o.Seq - min(o.Seq, x.head.header.Seq+1); inFlight > 0 && waiting < limits.Transactions {
		if wait := time.Duration(inFlight)*x.cfg.BatchTimeout - time.Since(x.built); wait > 0 {
			return wait, nil
		}
	}
	return 0, x.build(o, parent, limits)
}

// build proposes the next block. Transactions that do not apply on top of what is
// in flight wait; those that do not even apply on top of what is committed go.
func (x *executor) build(o *pbft.Build, parent *exec.Tip, limits exec.Limits) error {
	candidates := x.pool.next(limits.Transactions, limits.Bytes-exec.BodyHead)
	done, doubtful, err := exec.Build(parent, limits, candidates, time.Now().UnixMilli())
	if err != nil {
		return err
	}
	if _, err := x.reject(doubtful); err != nil || done == nil {
		return err
	}
	x.bodies.pin(o.View, &done.Header, done.Body)
	x.plan(done)
	x.begun[done.Digest] = time.Now()
	x.offer, x.built = nil, time.Now()
	x.tell(pbft.Built{View: o.View, Header: done.Header})
	return nil
}

// spreadOverdue sends transactions that wait for longer than the queue does not explain
// to all validators again. To send all of a long queue again would only make it longer.
func (x *executor) spreadOverdue() {
	now, waiting := x.clock.now(), uint64(x.pool.len())
	after := x.core.ForwardAfter
	if passed := x.passed - x.forwarded.passed; passed > 0 {
		after += min(2*waiting*(now-x.forwarded.at)/passed, x.core.CensorTimeout/4)
	}
	x.forwarded.at, x.forwarded.passed = now, x.passed
	x.outgoing.put(x.pool.overdue(time.Duration(after)*tick, x.self, x.cfg.MaxBatchSize)...)
}
