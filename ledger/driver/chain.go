package driver

import (
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

const (
	// MaxUnarchived is how many bytes of committed blocks may be on their way to the archive
	// before nothing more is built or checked.
	MaxUnarchived = 32 << 20
	// storeAfter is how long a committed block may be in the log alone.
	storeAfter = 500 * time.Millisecond
	// known is of how many blocks below the head it is remembered which they are.
	known = 512
	// maxDue is how many checkpoints are remembered that nobody has certified: a core is
	// never further than two intervals above the last one, and who only follows needs none.
	maxDue = 8
)

// chain is what is committed here.
type chain struct {
	head     *Head
	given    *Head // the last whose block was given to the archive: what is above is held
	archived uint64
	synced   uint64 // the archive is durable up to here
	digest   [known]pbft.Digest
	lowest   uint64 // the first of which digest knows

	stable *pbft.Certificate
	due    []*pbft.Decision // archived decisions above stable at which a checkpoint is due, ascending

	unarchived      []*committed       // given to the archive or about to be, and not there yet
	unarchivedBytes int                // their bytes
	onTheWay        map[tx.ID]struct{} // their transactions
	parked          *application       // that waits, see parks
	unstored        int                // transactions since the last block whose state was stored
	states          []storedState      // those that others may be fetching
	shed            uint64             // the last durable one when Prune was last asked for
	since           time.Duration
	waits           bool // an archived block is not durable; since says since when
	syncing         bool
	top             *pbft.Decision // the highest of what is being made durable
	again           bool           // there is more to be made durable than what is on its way
	replacing       bool           // the archive is about to begin with another state; installing is set, too
	installing      bool
	installs        uint64 // how many states of others were installed
	passed          uint64 // transactions committed since the start
}

// storedState is a block in the archive whose state is stored.
type storedState struct {
	seq uint64
	at  time.Duration // when it was there
}

// committed is a block on its way to the archive.
type committed struct {
	head    *Head
	block   *exec.Block
	ids     []tx.ID
	latency time.Duration
	state   bool // it is stored
}

func newChain(from *Recovered) chain {
	c := chain{
		head: from.Head, given: from.Head, archived: from.Head.Header.Seq, synced: from.Stored,
		unstored: from.Unstored, stable: from.Stable, due: from.Checkpoints, lowest: from.Head.Header.Seq,
	}
	c.remember(&from.Head.Tip)
	return c
}

func (c *chain) seq() uint64 { return c.head.Header.Seq }

func (c *chain) remember(t *exec.Tip) { c.digest[t.Header.Seq%known] = t.Digest }

// digestOf returns which block has a sequence number up to the head's, if that is known.
func (c *chain) digestOf(seq uint64) (pbft.Digest, bool) {
	head := c.seq()
	if seq > head || seq < c.lowest || head-seq >= known {
		return pbft.Digest{}, false
	}
	return c.digest[seq%known], true
}

// full reports whether so much waits for the archive that nothing is to be added.
func (c *chain) full() bool { return c.unarchivedBytes > MaxUnarchived || c.installing }

// advance makes a block the head. What others can see of it waits until it is durable
// that it could be committed.
func (d *Driver) advance(decision *pbft.Decision, done *result, latency time.Duration) {
	c := &d.chain
	block := done.block
	h := &Head{Tip: block.Tip, Decision: decision, Epoch: c.head.Epoch, Next: c.head.Next, Start: c.head.Start, Params: done.params}
	if block.Next != nil {
		h.Epoch, h.Next, h.Start = h.Epoch+1, block.Next, block.Header
	}
	ids := block.Body.IDs()
	c.passed += uint64(len(ids))
	d.setHead(h)
	c.remember(&h.Tip)
	d.renew.committed(h.Header.Seq, ids)
	for _, t := range d.market.pool.Committed(d.now.Mono, h.Header.Seq, intake.Block{Digest: h.Digest, Transactions: block.Body.Batch()}) {
		d.refuse(t.ID(), tx.Reject(tx.CodeNonceUsed, "another transaction of the owner with nonce %d was committed", t.Nonce))
	}
	d.plan.below(h.Header.Seq)

	k := &committed{head: h, block: block, ids: ids, latency: latency}
	c.add(k)
	d.leave(func() { d.give(k) })
}

// setHead takes another head.
func (d *Driver) setHead(h *Head) {
	d.chain.head, d.stand.moved = h, d.now.Mono
	d.bodies.resize(&h.Params)
	d.sync.moved(d)
}

// give gives a block to the archive.
func (d *Driver) give(k *committed) {
	c := &d.chain
	h := &k.head.Header
	c.unstored += len(k.ids)
	if k.state = h.Last() || c.unstored >= d.cfg.StateEvery; k.state {
		c.unstored = 0
	}
	c.given = k.head
	d.do(Store{Decision: k.head.Decision, Block: k.block, Stateless: !k.state})
}

// checkpoint reports whether one is due at a block.
func (d *Driver) checkpoint(h *pbft.Header) bool {
	return h.Last() || h.Seq%d.cfg.Core.CheckpointInterval == 0
}

// archived takes note that blocks can be read, and tells who waits for them.
func (d *Driver) archived(seq uint64) {
	c := &d.chain
	c.archived = max(c.archived, seq)
	for len(c.unarchived) > 0 && c.unarchived[0].head.Header.Seq <= seq {
		k := c.first()
		h := &k.head.Header
		for _, a := range d.market.tickets.Committed(h.Seq, h.Time, k.ids) {
			d.answer(a)
		}
		d.seen(k.ids)
		d.notice(BlockCommitted{Decision: k.head.Decision, Block: k.block, Latency: k.latency})
		d.shown.head = k.head
		if k.state {
			c.states = append(c.states, storedState{h.Seq, d.now.Mono})
		}
		if !c.waits {
			c.waits, c.since = true, d.now.Mono
		}
		if d.checkpoint(h) {
			c.due = append(c.due, k.head.Decision)
			if len(c.due) > maxDue {
				c.due = c.due[1:]
			}
			d.makeDurable()
		}
	}
	d.unpark()
}

// parks reports whether no blocks from sources are to be applied now: sources may be faster
// than the disk, or this peer is about to vote above what its disk has by then.
func (d *Driver) parks() bool {
	return d.chain.unarchivedBytes > MaxUnarchived || (d.footing.near && d.voter == nil)
}

// unpark goes on applying blocks, if there is no reason any more to wait.
func (d *Driver) unpark() {
	if a := d.chain.parked; a != nil && !d.parks() {
		d.chain.parked = nil
		d.apply(a)
	}
}

// committing reports whether a transaction is in a block that is on its way to the archive.
// Whoever waits for it is told once it is there. Judged on the head it has used its own
// nonce, which is true, and what nobody is to be told.
func (c *chain) committing(id tx.ID) bool {
	// Clients can have many ask at a time, while many blocks wait for a slow disk.
	_, on := c.onTheWay[id]
	return on
}

// add has a block be on its way to the archive.
func (c *chain) add(k *committed) {
	c.unarchived, c.unarchivedBytes = append(c.unarchived, k), c.unarchivedBytes+k.block.Body.Size()
	if c.onTheWay == nil {
		c.onTheWay = map[tx.ID]struct{}{}
	}
	for _, id := range k.ids {
		c.onTheWay[id] = struct{}{}
	}
}

// first returns the first block that is on its way to the archive, which has arrived.
func (c *chain) first() *committed {
	k := c.unarchived[0]
	c.unarchived[0] = nil
	c.unarchived, c.unarchivedBytes = c.unarchived[1:], c.unarchivedBytes-k.block.Body.Size()
	for _, id := range k.ids {
		delete(c.onTheWay, id)
	}
	return k
}

// forget has no block be on its way, but for some.
func (c *chain) forget(but []*committed) {
	c.unarchived, c.unarchivedBytes, c.onTheWay = nil, 0, nil
	for _, k := range but {
		c.add(k)
	}
}

// store makes durable what has been in the log alone for a while.
func (d *Driver) store() {
	c := &d.chain
	switch {
	case !c.waits || c.syncing:
	case d.now.Mono-c.since >= storeAfter:
		d.makeDurable()
	default:
		d.wake(c.since + storeAfter)
	}
}

// makeDurable has the archive made durable up to what it has.
func (d *Driver) makeDurable() {
	c := &d.chain
	if c.syncing {
		c.again = true
		return
	}
	c.syncing, c.again, c.waits, c.top = true, false, false, d.shown.head.Decision
	e := SyncStore{Seq: c.archived}
	if keep := d.cfg.KeepBlocks; keep > 0 && c.archived > keep {
		e.Bodies = c.archived - keep + 1
	}
	d.do(e)
}

// stored takes note that the archive is durable up to a block.
func (d *Driver) stored(seq uint64) {
	c := &d.chain
	c.syncing = false
	if seq > c.synced {
		c.synced = seq
		d.step(pbft.Stored{Seq: seq})
		d.cut(seq)
		d.prune()
	}
	if c.again {
		d.makeDurable()
	}
}

// cut has the log drop what the archive has by now. What is left of it says up to where
// nothing need be known that was signed: blocks that were fetched are in the log otherwise
// only where a core stands on them, or is about to.
func (d *Driver) cut(seq uint64) {
	if !d.stand.able {
		return
	}
	if top := d.chain.top; seq > d.stand.decided && top != nil && top.Header.Seq == seq {
		d.decided(seq, top.Header.Count == 0)
		d.log([]codec.LogRecord{codec.Decided{Decision: top}}, false)
	}
	d.do(Cut{Stored: seq})
}

// prune lets go, once a state more is durable, of those that were served for as long as is promised, or are too many. The
// last two that are durable stay. How long others take to fetch one, and how many ask, moves
// nothing: none can have it stay longer, nor take another's place.
func (d *Driver) prune() {
	c := &d.chain
	durable := 0
	for durable < len(c.states) && c.states[durable].seq <= c.synced {
		durable++
	}
	if durable == 0 || c.states[durable-1].seq == c.shed {
		return
	}
	c.shed = c.states[durable-1].seq
	gone := 0
	for gone < durable-2 && (len(c.states)-gone > MaxStates || d.now.Mono-c.states[gone+1].at >= d.cfg.StateLife) {
		gone++
	}
	e := Prune{Head: &c.head.Tip}
	if gone > 0 {
		c.states = c.states[gone:]
		e.Below = c.states[0].seq
	}
	d.do(e)
}

// certified takes note of a checkpoint.
func (d *Driver) certified(cert *pbft.Certificate) {
	c := &d.chain
	c.stable = cert
	for len(c.due) > 0 && c.due[0].Header.Seq <= cert.Seq {
		c.due = c.due[1:]
	}
	d.leave(func() { d.do(Certify{cert}) })
}

// deliver makes a block the head that consensus has committed.
func (d *Driver) deliver(decision *pbft.Decision) {
	h := &decision.Header
	if h.Seq <= d.chain.seq() {
		d.compare(decision) // it came from a source first
		return
	}
	done := d.plan.find(decision.Cert.Digest)
	if done == nil || h.Parent != d.chain.head.Digest || d.chain.installing {
		d.compare(decision)
		// It was found valid here, on a state that has been replaced since by a later one of
		// others. The blocks between come from them too.
		d.sync.behind(d)
		return
	}
	latency := time.Duration(0)
	if at, ok := d.plan.begun[done.block.Digest]; ok {
		latency = d.now.Mono - at
	}
	d.advance(decision, done, latency)
}

// application is a run of blocks from sources, or of the log, that is being carried out.
type application struct {
	of     *follow.Follower // who wants it
	job    follow.JobID     // 0 for one of the log
	blocks []*Fetched
	at     int
}

// apply carries out the next of the blocks that are being applied, until one has to be
// waited for.
func (d *Driver) apply(a *application) {
	if a.of != d.sync.follower {
		return // which has begun anew since
	}
	for ; a.at < len(a.blocks); a.at++ {
		f := a.blocks[a.at]
		decision := f.Decision()
		h := &decision.Header
		d.compare(decision)
		if h.Seq <= d.chain.seq() {
			continue
		}
		d.recognise(decision)
		if h.Seq != d.chain.seq()+1 || h.Parent != d.chain.head.Digest || d.chain.installing {
			d.gaveUp(a)
			return
		}
		if d.parks() {
			d.chain.parked = a
			return
		}
		done := d.plan.find(decision.Cert.Digest)
		if done == nil {
			parent, installs := d.chain.head.Tip, d.chain.installs
			d.do(Execute{Job: d.jobs.add(func(e Event) { d.redone(a, installs, e) }), Parent: &parent, Task: RedoBlock{f}})
			return
		}
		d.obtain(decision, done)
	}
	d.caughtUp(a)
}

// gaveUp tells that blocks cannot be applied.
func (d *Driver) gaveUp(a *application) {
	if a.job > 0 {
		d.inform(follow.Failed{Job: a.job})
	}
}

// unread is told that a job could not read the state that it stood on, and of how many
// installed states it was younger. If that state has been replaced since, or is about to be,
// nobody needs it any more: it returns true, and the job has come to nothing. Otherwise
// this peer's disk cannot be trusted.
func (d *Driver) unread(installs uint64, err error) (replaced bool) {
	if d.chain.replacing || installs != d.chain.installs {
		return true
	}
	d.fail(err)
	return false
}

// redone goes on with a block that was carried out.
func (d *Driver) redone(a *application, installs uint64, e Event) {
	x, _ := e.(Executed)
	switch {
	case errors.Is(x.Err, exec.ErrInvalid):
		// Nothing can mend that this peer's state is not the one that others have signed.
		d.fail(fmt.Errorf("%w: block %d: %w", pbft.ErrDiverged, a.blocks[a.at].Decision().Header.Seq, x.Err))
		return
	case errors.Is(x.Err, exec.ErrBody), x.Err != nil && d.unread(installs, x.Err):
		d.gaveUp(a)
		return
	case x.Err != nil:
		return
	}
	decision := a.blocks[a.at].Decision()
	if x.Block.Header.Seq == d.chain.seq()+1 && x.Block.Header.Parent == d.chain.head.Digest && !d.chain.installing {
		a.at++
		d.obtain(decision, &result{block: x.Block, params: x.Params})
	}
	d.apply(a)
}

// caughtUp tells that blocks from sources are applied: the core, if there is one, goes on
// behind them, once the log says that it stands on them.
func (d *Driver) caughtUp(a *application) {
	last := a.blocks[len(a.blocks)-1]
	if d.voter != nil {
		d.standOn(last.Decision())
		// The archive will have them later, and says so. What it has said already, the core
		// could not count before it stood on as much.
		d.step(pbft.Synced{Decision: last.Verified, Volatile: true})
		d.step(pbft.Stored{Seq: d.chain.synced})
	}
	d.inform(follow.Applied{Job: a.job, Head: d.chain.place()})
}

func (c *chain) place() follow.Place { return follow.Place{Seq: c.seq(), Digest: c.head.Digest} }

// installed takes a state that was fetched as the head.
func (d *Driver) installed(e *Installed) {
	c := &d.chain
	c.installing, c.replacing = false, false
	if e.Err != nil || e.Head.Header.Seq <= c.seq() {
		if e.Err != nil {
			d.notice(Odd{What: "the state cannot be installed", Err: e.Err})
		}
		d.inform(follow.Failed{Job: e.Job})
		return
	}
	// What was carried out stands on the state that is replaced. Blocks that wait to be
	// checked do not.
	c.installs++
	d.renew.seated(e.Seat)
	d.recognise(e.Head.Decision)
	d.plan.forget()
	c.given, c.archived, c.synced, c.lowest = e.Head, e.Head.Header.Seq, e.Head.Header.Seq, e.Head.Header.Seq
	c.waits, c.unstored, c.due, c.states = false, 0, nil, nil
	c.forget(nil)
	d.setHead(e.Head)
	c.remember(&e.Head.Tip)
	d.shown.head = e.Head
	if d.voter != nil {
		d.standOn(e.Head.Decision)
		d.step(pbft.Synced{Decision: e.Verified})
	}
	d.inform(follow.Installed{Job: e.Job, Head: c.place()})
	d.unpark()
}

// rewind goes back to the last block that was given to the archive, and forgets what was
// to be given to it.
func (d *Driver) rewind() {
	c := &d.chain
	c.installing, c.parked = c.replacing, nil
	defer d.sync.restart(d)
	if c.head == c.given {
		return
	}
	var kept []*committed
	for _, k := range c.unarchived {
		if k.head.Header.Seq <= c.given.Header.Seq {
			kept = append(kept, k)
		}
	}
	c.forget(kept)
	d.plan.forget()
	c.head = c.given
	d.bodies.resize(&c.head.Params)
}
