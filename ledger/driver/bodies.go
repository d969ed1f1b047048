package driver

import (
	"errors"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// errEvidence is what evidence against a validator is reported with.
var errEvidence = errors.New("a validator has broken the protocol")

// bodies are the contents of blocks in flight.
type bodies struct {
	store   *body.Store
	epoch   uint64
	answers body.Answers
	loads   map[sig.PublicKey]int // bodies that are being read for each validator
}

// maxLoads is how many bodies are read for one validator at a time. How large they are is
// known, and paid for, only when they are in memory.
const maxLoads = 4

func newBodies(h *Head) bodies {
	limits := body.Limits{Window: h.Params.Window, BodyBytes: body.SizeLimit(h.Params.MaxBlockBytes, h.Params.MaxBlockTransactions)}
	b := bodies{store: body.New(limits), epoch: h.Epoch, loads: map[sig.PublicKey]int{}}
	b.store.Reset(h.Header.Seq)
	return b
}

// startEpoch forgets what belongs to another epoch than this one, whose last committed block
// is base.
func (b *bodies) startEpoch(epoch, base uint64) {
	if epoch != b.epoch {
		b.epoch = epoch
		b.store.Reset(base)
	}
	b.store.Enter(0, base)
}

// resize takes note of the parameters after the last committed block.
func (b *bodies) resize(p *genesis.Params) {
	b.store.SetBodyBytes(body.SizeLimit(p.MaxBlockBytes, p.MaxBlockTransactions))
}

// of returns the whole body that a header names, or nil. A block without transactions has
// one that nobody needs to send.
func (b *bodies) of(h *pbft.Header) *body.Content {
	if h.Count == 0 {
		return body.Empty()
	}
	if c := b.store.Get(h.Body); c.Whole() {
		return c
	}
	return nil
}

// recorded retains the body that a record of the log is about. Records of other epochs
// bind nobody any more.
func (b *bodies) recorded(rec pbft.Record) {
	switch rec := rec.(type) {
	case pbft.AcceptedRecord:
		if h := &rec.Header; h.Count > 0 && h.Epoch == b.epoch {
			b.store.Accepted(rec.View, h.Seq, h.Body)
		}
	case pbft.PreparedRecord:
		if h := &rec.Lock.Header; h.Count > 0 && h.Epoch == b.epoch {
			b.store.Locked(rec.Lock.Cert.View, h.Seq, h.Body)
		}
	default:
	}
}

// assemble returns the whole body that a header names, or nil. Its transactions may be at
// hand one by one.
func (d *Driver) assemble(h *pbft.Header) *body.Content {
	if h.Count == 0 {
		return body.Empty()
	}
	c, _ := d.bodies.store.Assemble(h.Body, d.market.lookup)
	return c
}

// instant is the present moment for package body.
func (d *Driver) instant() body.Instant { return body.Instant(d.now.Mono / time.Millisecond) }

// askBodies asks for bodies that are missing.
func (d *Driver) askBodies() {
	v := d.voter
	if v == nil {
		return
	}
	for _, a := range d.bodies.store.Due(d.instant(), d.market.carrying > 0) {
		// A block that waits for its parent has not been put together before: under load
		// that takes longer than others' transactions are on their way.
		if c, _ := d.bodies.store.Assemble(a.Root, d.market.lookup); c == nil && v.committee.Has(a.To) {
			d.do(Send{To: []sig.PublicKey{v.set[a.To]}, Class: Bulk, Frame: codec.Want{Root: a.Root, Seq: a.Seq}})
		}
	}
	if next, missing := d.bodies.store.Deadline(); missing {
		d.wake(max(time.Duration(next)*time.Millisecond, d.now.Mono+time.Millisecond))
	}
}

// sources returns whom to ask for a body: the leader of a view, then the others in turn.
func (v *voter) sources(view uint64) []quorum.Replica {
	n := v.committee.Size()
	sources := make([]quorum.Replica, 0, n)
	first := int(v.leader(view))
	for i := range n {
		if at := quorum.Replica((first + i) % n); at != v.self {
			sources = append(sources, at)
		}
	}
	return sources
}

// wanted gives a validator a body that it lacks, as often and as much as one is given.
func (d *Driver) wanted(from sig.PublicKey, w codec.Want) {
	v := d.voter
	if v == nil || !d.bodies.answers.Allow(from, d.instant()) {
		return
	}
	if _, member := v.set.Replica(from); !member {
		return
	}
	if c := d.bodies.store.Get(w.Root); c.Whole() {
		d.giveBody(from, w.Root, c.Encoded())
		return
	}
	loads := d.bodies.loads
	if loads[from] >= maxLoads {
		return
	}
	loads[from]++
	d.do(Load{Seq: w.Seq, Root: w.Root, Job: d.jobs.add(func(e Event) {
		if loads[from]--; loads[from] == 0 {
			delete(loads, from)
		}
		if l, _ := e.(Loaded); l.Encoded != nil {
			d.giveBody(from, w.Root, l.Encoded)
		}
	})})
}

func (d *Driver) giveBody(to sig.PublicKey, root pbft.Digest, encoded []byte) {
	d.bodies.answers.Charge(to, len(encoded), d.instant())
	d.do(Send{To: []sig.PublicKey{to}, Class: Bulk, Frame: codec.Body{Root: root, Encoded: encoded}})
}

// supplied takes a body that somebody has sent, once its transactions are verified, and
// calls over then.
func (d *Driver) supplied(from sig.PublicKey, c *body.Content, over func()) {
	if !d.bodies.store.Fits(c) {
		over()
		return
	}
	d.verifyBody(from, c, func(ok bool) {
		over()
		if ok {
			d.bodies.store.Supply(c)
		}
	})
}

// verifyBody does something once it is known whether the transactions of a body have
// valid signatures. Those that wait in the pool had when they came in.
func (d *Driver) verifyBody(from sig.PublicKey, c *body.Content, then func(ok bool)) {
	var unknown []*tx.Transaction
	for _, t := range c.Batch() {
		if d.market.pool.Get(t.ID()) == nil {
			unknown = append(unknown, t)
		}
	}
	if len(unknown) == 0 {
		then(true)
		return
	}
	d.do(CheckTxs{Txs: unknown, Bodies: true, Job: d.jobs.add(func(e Event) {
		checked, _ := e.(TxsChecked)
		for _, err := range checked.Errs {
			if err == nil {
				continue
			}
			if _, final := tx.CodeOf(err); final {
				d.misbehaved("invalid message", from, err)
			}
			then(false)
			return
		}
		then(true)
	})})
}
