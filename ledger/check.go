package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// want takes a block to check, once.
func (x *executor) want(c check) {
	digest := c.Header.Digest()
	if x.ahead[digest] != nil {
		x.tell(pbft.Checked{View: c.View, Digest: digest, Valid: true})
		return
	}
	for i := range x.checks {
		if x.checks[i].Header == c.Header {
			x.checks[i].Check = c.Check
			return
		}
	}
	if len(x.checks) >= maxWanted {
		x.checks = x.checks[1:]
	}
	if _, known := x.begun[digest]; !known {
		x.begun[digest] = time.Now()
	}
	c.since = time.Now()
	x.checks = append(x.checks, c)
}

// retry looks at the checks that wait. Where a body is missing, one validator
// after another is asked for it.
func (x *executor) retry(ask bool) {
	for progress := true; progress; {
		progress = false
		kept := x.checks[:0]
		for _, c := range x.checks {
			if c.Header.Seq <= x.head.header.Seq {
				continue
			}
			if x.parent(&c.Header) == nil {
				kept = append(kept, c)
				continue
			}
			b := x.assemble(&c.Header)
			if b == nil {
				x.ask(&c, ask)
				kept = append(kept, c)
				continue
			}
			progress = true
			x.execute(&c, b)
		}
		clear(x.checks[len(kept):])
		x.checks = kept
	}
}

// parent returns the state that a block stands on, or nil when it is not known.
func (x *executor) parent(h *pbft.Header) *state.State {
	if h.Parent == x.head.digest {
		return &x.head.state
	}
	if p := x.ahead[h.Parent]; p != nil {
		return &p.state
	}
	return nil
}

// assemble returns the body of a block if all its transactions are here.
func (x *executor) assemble(h *pbft.Header) *body {
	if h.Count == 0 {
		return emptyBody(h.Seq)
	}
	b := x.bodies.get(h.Body)
	if b == nil || b.whole() {
		return b
	}
	found, count := x.pool.GetAll(b.ids)
	if count < len(found) {
		return nil
	}
	batch := tx.Batch(found)
	encoded, err := batch.Encode()
	if err != nil {
		return nil // larger than a block may be: nobody can have it
	}
	b = newBody(h.Seq, b.ids, batch, encoded)
	x.bodies.put(h.Body, b)
	return b
}

func emptyBody(seq uint64) *body {
	return newBody(seq, nil, nil, tx.Batch{}.AppendTo(nil))
}

// ask sends a question for a body: first to the leader, then to others in turn. The
// transactions of a body that is known by their IDs are most likely on their way,
// and a body takes as much of that way again: it is asked for after a while.
func (x *executor) ask(c *check, again bool) {
	switch {
	case c.asked.IsZero() && x.bodies.get(c.Header.Body) != nil:
		patience := bodyPatience
		if x.carrying.Load() {
			patience = bodyPatienceBusy
		}
		if time.Since(c.since) < patience {
			return
		}
	case !c.asked.IsZero() && (!again || time.Since(c.asked) < bodyRetry<<min(c.tries-1, 4)):
		return
	}
	e := x.epoch.Load()
	if e == nil {
		return
	}
	c.asked = time.Now()
	at := (int(pbft.Leader(e.committee, e.number, c.View)) + c.tries) % e.committee.Size()
	c.tries++
	if e.member && at == int(e.self) {
		at = (at + 1) % e.committee.Size()
		c.tries++
	}
	x.wanted.add(c.Header.Body, c.Header.Seq)
	x.transport.Send(e.validators[at], Bulk, codec.AppendFrame(nil, codec.Want{Root: c.Header.Body, Seq: c.Header.Seq}))
}

// execute checks a block and tells the engine.
func (x *executor) execute(c *check, b *body) {
	x.wanted.done(c.Header.Body)
	digest := c.Header.Digest()
	done, err := x.evaluate(&c.Header, b, c.Vouched)
	if err != nil {
		x.log.Warn("a proposed block is invalid", "block", c.Header.Seq, "view", c.View, "err", err)
		x.tell(pbft.Checked{View: c.View, Digest: digest, Valid: false})
		return
	}
	x.plan(done)
	x.tell(pbft.Checked{View: c.View, Digest: digest, Valid: true})
}

// plan keeps a valid block above the head.
func (x *executor) plan(e *executed) {
	x.ahead[e.digest] = e
	x.pool.Reserve(e.digest, e.body.ids)
}

// unplan forgets one.
func (x *executor) unplan(digest pbft.Digest) {
	delete(x.ahead, digest)
	delete(x.begun, digest)
	x.pool.Release(digest)
}

// errInvalidBlock is why a block cannot be what its header says.
var errInvalidBlock = errors.New("invalid block")

// evaluate executes a block on top of its parent.
func (x *executor) evaluate(h *pbft.Header, b *body, vouched bool) (*executed, error) {
	parent := x.parent(h)
	p, err := parent.Params()
	if err != nil {
		return nil, err
	}
	switch {
	case int(h.Count) != len(b.batch):
		return nil, fmt.Errorf("%w: header says %d transactions, body has %d", errInvalidBlock, h.Count, len(b.batch))
	case uint64(len(b.batch)) > p.MaxBlockTransactions || uint64(len(b.encoded)) > p.MaxBlockBytes:
		return nil, fmt.Errorf("%w: %d transactions of %d bytes are more than a block may have", errInvalidBlock, len(b.batch), len(b.encoded))
	case !vouched && h.Time > time.Now().Add(clockSkew).UnixMilli():
		return nil, fmt.Errorf("%w: its time is %v ahead of this peer's clock", errInvalidBlock, time.Until(time.UnixMilli(h.Time)).Round(time.Second))
	}
	blk := parent.Begin(h.Seq, h.Time)
	for i, t := range b.batch {
		if err := blk.Apply(t); err != nil {
			return nil, fmt.Errorf("%w: transaction %d: %w", errInvalidBlock, i, err)
		}
	}
	after, next, err := blk.Finish()
	if err != nil {
		return nil, err
	}
	if err := matches(h, b, after, next); err != nil {
		return nil, err
	}
	return &executed{header: *h, digest: h.Digest(), body: b, state: after, next: next}, nil
}

// matches compares what execution gave with what the header says.
func matches(h *pbft.Header, b *body, after state.State, next genesis.ValidatorSet) error {
	var nextDigest pbft.Digest
	if next != nil {
		nextDigest = next.Digest()
	}
	switch {
	case h.Body != tx.Root(b.ids):
		return fmt.Errorf("%w: transaction root", errInvalidBlock)
	case h.State != after.Root():
		return fmt.Errorf("%w: state root", errInvalidBlock)
	case h.Next != nextDigest:
		return fmt.Errorf("%w: validators of the next epoch", errInvalidBlock)
	}
	return nil
}
