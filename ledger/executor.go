package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// executor is the loop that owns the state: it executes blocks before they are
// committed, builds them when this replica leads, and stores them when they are.
//
//	engine --- check, build, deliver ---> executor ---> archive
//	   ^                                     |
//	   +--- checked, built, stored ----------+
type executor struct {
	*Ledger
	box *mailbox[any] // commands: see the types below

	head      *head
	ahead     map[pbft.Digest]*executed // valid blocks above the head, by header digest
	checks    []check                   // that wait for a parent or a body
	offer     *pbft.Build               // the block that this leader may propose
	built     time.Time                 // when it last proposed one
	synced    uint64                    // everything up to here is durable in the archive
	since     time.Time                 // of the oldest block that is not
	stateAt   uint64                    // the last block whose state was stored
	rechecked uint64                    // when transactions were last looked at again, in ticks
	begun     map[pbft.Digest]time.Time // when blocks in flight were first seen
}

// head is the last committed block with the state after it. It never changes.
type head struct {
	header pbft.Header
	digest pbft.Digest
	state  state.State
	epoch  uint64               // of the next block
	next   genesis.ValidatorSet // of the next block
}

// executed is a block with the state after it.
type executed struct {
	header pbft.Header
	digest pbft.Digest
	body   *body
	state  state.State
	next   genesis.ValidatorSet // nil unless the block ends its epoch
}

// Commands to the executor.
type (
	check struct {
		pbft.Check
		asked time.Time
		tries int
	}
	build   struct{ pbft.Build }
	deliver struct{ decision *pbft.Decision }
	stable  struct{ cert *pbft.Certificate }
	wake    struct{}
	cancel  struct{ done chan error } // of an epoch: nothing in flight is of use
	apply   struct {
		blocks []fetched
		done   chan error
	}
	install struct {
		transfer    *archive.Transfer
		transitions []receipt.Transition
		verified    pbft.Verified
		done        chan error
	}
	proof   struct{ evidence pbft.Evidence }
	newView struct{ message *pbft.NewView }
	forward struct{}
)

// fetched is a block from a peer, whose certificate was verified.
type fetched struct {
	decision *pbft.Decision
	verified pbft.Verified
	body     []byte
	next     genesis.ValidatorSet
}

const (
	// stateEvery is how many blocks lie between two whose state is stored: what
	// several blocks change is then written once. After a start, as many are executed
	// again at most.
	stateEvery = 8
	// clockSkew is how far ahead of this replica's clock a proposal may be.
	clockSkew = 10 * time.Second
	// bodyRetry is how long one validator has for sending a body.
	bodyRetry = 100 * time.Millisecond
	// syncAfter is how long a committed block may be in the log alone.
	syncAfter = 500 * time.Millisecond
	// recheckAfter is how long a transaction waits before it is looked at again: it
	// may have become invalid.
	recheckAfter = 100 // ticks
	// recheckMost is how many of those that wait longest are looked at.
	recheckMost = 256
	// expireAfter is how long a transaction is kept waiting at all.
	expireAfter = 6000 // ticks
)

// run executes until ctx ends. An error is a disk's, or the state's: this peer
// cannot go on.
func (x *executor) run(ctx context.Context) error {
	ticker := time.NewTicker(bodyRetry)
	defer ticker.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return x.store()
		case <-x.box.ready:
			for _, cmd := range x.box.take() {
				if err = x.do(ctx, cmd); err != nil {
					return err
				}
			}
			x.retry(false)
		case <-ticker.C:
			x.retry(true)
			x.recheck()
			err = x.storeLater()
		case <-timer.C:
		}
		if err != nil {
			return err
		}
		if wait := x.propose(); wait > 0 {
			timer.Reset(wait)
		}
	}
}

func (x *executor) do(ctx context.Context, cmd any) error {
	switch cmd := cmd.(type) {
	case check:
		x.want(cmd)
	case build:
		x.offer = &cmd.Build
	case deliver:
		return x.commit(cmd.decision)
	case stable:
		return x.certified(cmd.cert)
	case apply:
		cmd.done <- x.take(cmd.blocks)
	case install:
		cmd.done <- x.install(ctx, &cmd)
	case cancel:
		x.checks, x.offer = nil, nil
		for digest := range x.ahead {
			x.unplan(digest)
		}
		cmd.done <- x.store()
	case proof:
		return x.archive.PutEvidence(&cmd.evidence)
	case newView:
		return x.archive.PutNewView(cmd.message)
	case forward:
		x.spreadOverdue()
	case wake:
	}
	return nil
}

// want takes a block to check, once.
func (x *executor) want(c check) {
	digest := c.Header.Digest()
	if x.ahead[digest] != nil {
		x.tell(pbft.Checked{Digest: digest, Valid: true})
		return
	}
	for i := range x.checks {
		if x.checks[i].Header == c.Header {
			x.checks[i].Vouched = x.checks[i].Vouched || c.Vouched
			return
		}
	}
	if len(x.checks) >= maxWanted {
		x.checks = x.checks[1:]
	}
	if _, known := x.begun[digest]; !known {
		x.begun[digest] = time.Now()
	}
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
	batch := make(tx.Batch, len(b.ids))
	for i, id := range b.ids {
		if batch[i] = x.pool.Get(id); batch[i] == nil {
			return nil
		}
	}
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

// ask sends a question for a body: at once to the leader, then to others in turn.
func (x *executor) ask(c *check, again bool) {
	if !c.asked.IsZero() && (!again || time.Since(c.asked) < bodyRetry) {
		return
	}
	e := x.epoch.Load()
	if e == nil {
		return
	}
	c.asked = time.Now()
	at := (int(c.View%uint64(e.committee.Size())) + c.tries) % e.committee.Size() //nolint:gosec // below the committee's size
	c.tries++
	if e.member && at == int(e.self) {
		at = (at + 1) % e.committee.Size()
		c.tries++
	}
	x.wanted.add(c.Header.Body, c.Header.Seq)
	x.transport.Send(e.validators[at], Bulk, wantFrame(&c.Header))
}

// execute checks a block and tells the engine.
func (x *executor) execute(c *check, b *body) {
	x.wanted.done(c.Header.Body)
	digest := c.Header.Digest()
	done, err := x.evaluate(&c.Header, b, c.Vouched)
	if err != nil {
		x.log.Warn("a proposed block is invalid", "block", c.Header.Seq, "view", c.View, "err", err)
		x.tell(pbft.Checked{Digest: digest, Valid: false})
		return
	}
	x.plan(done)
	x.tell(pbft.Checked{Digest: digest, Valid: true})
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

// commit makes a block the head.
func (x *executor) commit(d *pbft.Decision) error {
	if d.Header.Seq <= x.head.header.Seq {
		return nil // it came by synchronisation first
	}
	done := x.ahead[d.Cert.Digest]
	if done == nil {
		return fmt.Errorf("block %d is committed and was not executed here", d.Header.Seq)
	}
	latency := time.Duration(0)
	if at, ok := x.begun[d.Cert.Digest]; ok {
		latency = time.Since(at)
	}
	return x.advance(d, done, latency)
}

// advance stores a committed block and moves the head.
func (x *executor) advance(d *pbft.Decision, done *executed, latency time.Duration) error {
	stateful := done.next != nil || d.Header.Seq%x.core.CheckpointInterval == 0 || d.Header.Seq >= x.stateAt+stateEvery
	err := x.archive.Append(archive.Entry{
		Decision: d, Body: done.body.encoded, IDs: done.body.ids, State: done.state.Map(), Stateless: !stateful, Validators: done.next,
	})
	if err != nil {
		return fmt.Errorf("storing block %d: %w", d.Header.Seq, err)
	}
	if stateful {
		x.stateAt = d.Header.Seq
	}
	if x.since.IsZero() {
		x.since = time.Now()
	}
	h := &head{header: d.Header, digest: d.Cert.Digest, state: done.state, epoch: x.head.epoch, next: x.head.next}
	if done.next != nil {
		h.epoch, h.next = h.epoch+1, done.next
	}
	x.noteRenewal(d.Header.Seq, done.body.ids)
	x.setHead(h)
	x.pool.Remove(done.body.ids)
	x.bodies.committed(d.Header.Seq)
	for digest, e := range x.ahead {
		if e.header.Seq <= d.Header.Seq {
			x.unplan(digest)
		}
	}
	if len(x.begun) > maxWanted {
		clear(x.begun)
	}
	x.notify(d, done.body, latency)
	if done.next != nil || d.Header.Seq%x.core.CheckpointInterval == 0 {
		return x.store()
	}
	return nil
}

// setHead publishes the head.
func (x *executor) setHead(h *head) {
	x.head = h
	x.tip.Store(h)
	x.moved.broadcast()
}

// store makes what is committed durable in the archive, and says so.
func (x *executor) store() error {
	if x.synced == x.head.header.Seq {
		return nil
	}
	if err := x.archive.Sync(); err != nil {
		return fmt.Errorf("storing blocks up to %d: %w", x.head.header.Seq, err)
	}
	x.synced = x.head.header.Seq
	x.since = time.Time{}
	x.tell(pbft.Stored{Seq: x.synced})
	return nil
}

func (x *executor) storeLater() error {
	if x.since.IsZero() || time.Since(x.since) < syncAfter {
		return nil
	}
	return x.store()
}

// certified takes note of a checkpoint: the state before it need not be readable
// any more.
func (x *executor) certified(cert *pbft.Certificate) error {
	if err := x.archive.SetStable(cert); err != nil {
		return err
	}
	if keep := 2 * x.core.CheckpointInterval; cert.Seq > keep && cert.Seq <= x.synced {
		if _, err := x.archive.Prune(cert.Seq - keep); err != nil {
			return err
		}
		x.head.state.Map().Shed(stateMemory)
	}
	return nil
}

// stateMemory is about how many bytes of the state are kept in memory.
const stateMemory = 64 << 20

// take appends blocks that were fetched from a peer.
func (x *executor) take(blocks []fetched) error {
	for i := range blocks {
		f := &blocks[i]
		h := &f.decision.Header
		if h.Seq <= x.head.header.Seq {
			continue
		}
		if h.Seq != x.head.header.Seq+1 || h.Parent != x.head.digest {
			return fmt.Errorf("%w: block %d does not follow block %d", errBadSource, h.Seq, x.head.header.Seq)
		}
		done := x.ahead[f.decision.Cert.Digest]
		if done == nil {
			var err error
			if done, err = x.fetchedBlock(f); err != nil {
				return err
			}
		}
		if err := x.advance(f.decision, done, 0); err != nil {
			return err
		}
		x.box.put(wake{})
	}
	if len(blocks) == 0 {
		return nil
	}
	if x.epoch.Load() == nil {
		return nil // nobody votes on the strength of it
	}
	if err := x.store(); err != nil {
		return err
	}
	x.tell(pbft.Synced{Decision: blocks[len(blocks)-1].verified})
	return nil
}

// fetchedBlock executes a committed block. A body that is not the header's is the
// source's fault; anything else means that this peer's state is wrong.
func (x *executor) fetchedBlock(f *fetched) (*executed, error) {
	h := &f.decision.Header
	batch, err := tx.DecodeBatch(f.body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadSource, err)
	}
	b := newBody(h.Seq, batch.IDs(), batch, f.body)
	if tx.Root(b.ids) != h.Body {
		return nil, fmt.Errorf("%w: other transactions than block %d has", errBadSource, h.Seq)
	}
	done, err := x.evaluate(h, b, true)
	if err != nil {
		return nil, fmt.Errorf("%w: block %d: %w", pbft.ErrDiverged, h.Seq, err)
	}
	return done, nil
}

// install makes a transferred state the head.
func (x *executor) install(ctx context.Context, cmd *install) error {
	d := cmd.transfer.Decision()
	if d.Header.Seq <= x.head.header.Seq {
		return nil // blocks came faster
	}
	if err := cmd.transfer.Install(cmd.transitions); err != nil {
		return err
	}
	h, err := x.loadHead()
	if err != nil {
		return err
	}
	for digest := range x.ahead {
		x.unplan(digest)
	}
	x.checks, x.offer = nil, nil
	x.synced, x.since, x.stateAt = h.header.Seq, time.Time{}, h.header.Seq
	x.setHead(h)
	x.bodies.committed(h.header.Seq)
	x.tell(pbft.Synced{Decision: cmd.verified})
	return nil
}

// tell passes an event to the engine.
func (x *executor) tell(e pbft.Event) { x.toEngine.put(e) }
