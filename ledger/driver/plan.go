package driver

import (
	"cmp"
	"slices"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// plan is what is done about blocks above the head.
type plan struct {
	memory  *journal.Memory // until the first core was made from it
	carried pbft.Carried    // what the core of the epoch before has learned

	view     uint64
	ahead    map[pbft.Digest]*result // valid blocks that were asked for in the view
	earlier  map[pbft.Digest]*result // those of the view before, in case that they are carried over
	checks   []*check                // ascending by sequence number, one for each
	accepted map[pbft.Digest]acceptedAt
	begun    map[pbft.Digest]time.Duration // when blocks in flight were first seen

	offer    *pbft.Build // the block that this leader may propose
	building bool
	built    time.Duration // when it last proposed one
	idle     time.Duration // nothing is built before: what waits did not apply
	running  int           // checks that are being carried out
}

// acceptedAt is a vote that the log has.
type acceptedAt struct{ seq, view uint64 }

// check is a block to look at.
type check struct {
	pbft.Check
	digest  pbft.Digest
	came    int64 // wall time
	until   int64 // when its time will have come, in Unix milliseconds, or 0
	late    bool  // its time was too far behind: it waits until a quorum vouches for it
	running bool
}

func newPlan() plan {
	return plan{
		ahead: map[pbft.Digest]*result{}, accepted: map[pbft.Digest]acceptedAt{}, begun: map[pbft.Digest]time.Duration{},
		built: -time.Hour,
	}
}

// maxBegun is of how many blocks in flight it is remembered when they were first seen,
// for the sake of observers.
const maxBegun = 2 * pbft.MaxWindow

// find returns a valid block above the head, nil if it was not carried out.
func (p *plan) find(digest pbft.Digest) *result {
	if r := p.ahead[digest]; r != nil {
		return r
	}
	return p.earlier[digest]
}

// below forgets what is not above a block.
func (p *plan) below(seq uint64) {
	for _, blocks := range []map[pbft.Digest]*result{p.ahead, p.earlier} {
		for digest, r := range blocks {
			if r.block.Header.Seq <= seq {
				delete(blocks, digest)
				delete(p.begun, digest)
			}
		}
	}
	for digest, a := range p.accepted {
		if a.seq <= seq {
			delete(p.accepted, digest)
		}
	}
	if len(p.begun) > maxBegun {
		clear(p.begun)
	}
}

// clear forgets all that is in flight: another epoch begins.
func (p *plan) clear() {
	p.view, p.checks, p.offer = 0, nil, nil
	p.forget()
}

// forget forgets what was carried out: it stands on a state that is not the one any more.
func (p *plan) forget() { p.ahead, p.earlier = map[pbft.Digest]*result{}, nil }

// enter notes that the core is in a later view, or on its way to one. What no slot of
// that view names is in flight no more: its transactions are offered again. The core asks
// for the blocks that are carried over, and what is known of them is said at once.
func (d *Driver) enter(view uint64) {
	p := &d.plan
	if view <= p.view {
		return
	}
	p.view, p.checks, p.offer = view, nil, nil
	if len(p.ahead) == 0 {
		return // a view in which nothing was proposed changes nothing about those before
	}
	p.earlier, p.ahead = p.ahead, map[pbft.Digest]*result{}
	for digest, r := range p.earlier {
		if d.bodies.of(&r.block.Header) == nil {
			delete(p.earlier, digest)
		}
	}
}

// want notes a block to check. There is one for each sequence number: the core asks for
// another one when that is certified. It asks again and again for what is not answered,
// and says so when the block is vouched for meanwhile.
func (d *Driver) want(asked *pbft.Check) {
	p := &d.plan
	if asked.View < p.view || d.voter == nil {
		return // of a view that is over: the answer would not count
	}
	d.enter(asked.View)
	c := &check{Check: *asked, digest: asked.Header.Digest(), came: d.now.Wall}
	if r := p.find(c.digest); r != nil {
		d.valid(c, r)
		return
	}
	if _, known := p.begun[c.digest]; !known {
		p.begun[c.digest] = d.now.Mono
	}
	if asked.Header.Count > 0 {
		d.bodies.store.Check(asked.View, asked.Header.Seq, asked.Header.Body, d.voter.sources(asked.View), d.instant())
	}
	at, found := slices.BinarySearchFunc(p.checks, c, func(a, b *check) int { return cmp.Compare(a.Header.Seq, b.Header.Seq) })
	switch {
	case !found:
		p.checks = slices.Insert(p.checks, at, c)
	case p.checks[at].digest == c.digest:
		p.checks[at].Check = c.Check
	default:
		p.checks[at] = c
	}
}

// check has blocks carried out that can be. It reports whether the core has been told
// something.
func (d *Driver) check() bool {
	p := &d.plan
	told := false
	for _, c := range slices.Clone(p.checks) {
		if d.voter == nil {
			return told
		}
		switch {
		case c.Header.Seq <= d.chain.seq():
			p.done(c)
		case c.running:
		case p.find(c.digest) != nil:
			p.done(c)
			d.valid(c, p.find(c.digest))
			told = true
		default:
			d.look(c)
		}
	}
	return told
}

// done forgets a check.
func (p *plan) done(c *check) {
	p.checks = slices.DeleteFunc(p.checks, func(other *check) bool { return other == c })
}

// look has a block carried out if its parent and its body are at hand, and its time has
// come.
func (d *Driver) look(c *check) {
	p := &d.plan
	vouched := c.Vouched || d.hasAccepted(c)
	if !vouched && c.late {
		return
	}
	if !vouched && d.now.Wall < c.until {
		// A faulty leader may name the end of time, to which nanoseconds do not reach.
		d.wake(d.now.Mono + time.Duration(min(c.until-d.now.Wall, time.Hour.Milliseconds()))*time.Millisecond)
		return
	}
	parent := d.parent(c.Header.Parent)
	if parent == nil || d.chain.full() || p.running >= 2*int(d.cfg.Core.Window) {
		return
	}
	content := d.assemble(&c.Header)
	if content == nil || !d.market.stores(content) {
		return
	}
	c.running = true
	p.running++
	installs := d.chain.installs
	d.do(Execute{
		Job: d.jobs.add(func(e Event) { d.checked(c, vouched, installs, e) }), Parent: &parent.Tip,
		Task: CheckBlock{Offer: exec.Offer{Header: c.Header, Body: content, Vouched: vouched, Came: c.came}, Time: d.now.Wall},
	})
}

// hasAccepted reports whether this replica has voted for the block in this very view,
// before a restart: the time that it was away is not to be held against the block.
func (d *Driver) hasAccepted(c *check) bool {
	at, ok := d.plan.accepted[c.digest]
	return ok && at.view == c.View
}

// parent returns what a block stands on, or nil when it is not known.
func (d *Driver) parent(digest pbft.Digest) *standing {
	if digest == d.chain.head.Digest {
		return &standing{d.chain.head.Tip, &d.chain.head.Params}
	}
	if r := d.plan.find(digest); r != nil {
		return &standing{r.block.Tip, &r.params}
	}
	return nil
}

// checked takes what was found out about a block.
func (d *Driver) checked(c *check, vouched bool, installs uint64, e Event) {
	p := &d.plan
	p.running--
	c.running = false
	x, _ := e.(Executed)
	if x.Err != nil {
		d.unread(installs, x.Err)
		return
	}
	if d.voter == nil || !slices.Contains(p.checks, c) || c.Header.Epoch != d.voter.epoch {
		return // the view is over, or another block has its place
	}
	seq := c.Header.Seq
	switch v := x.Verdict.(type) {
	case exec.Valid:
		p.done(c)
		d.valid(c, &result{block: v.Block, params: x.Params})
	case exec.Invalid:
		p.done(c)
		d.notice(Odd{What: "a proposed block is invalid", Seq: seq, Peer: d.leaderOf(c.View), Err: v.Reason})
		d.step(pbft.Checked{View: c.View, Vouched: c.Vouched, Digest: c.digest, Valid: false})
	case exec.Wait:
		if c.until != v.Until && !vouched {
			d.notice(Odd{What: "a proposed block is ahead of this peer's clock, and waits", Seq: seq, Peer: d.leaderOf(c.View)})
		}
		c.until = v.Until
	case exec.NoVote:
		// The core is not answered. Either the view ends, or the others commit the block:
		// then this peer's clock is wrong, and a quorum vouches for the block.
		c.late = true
		d.notice(Odd{What: "a proposed block is behind this peer's clock, and gets no vote", Seq: seq, Peer: d.leaderOf(c.View)})
	}
}

func (d *Driver) leaderOf(view uint64) sig.PublicKey { return d.voter.set[d.voter.leader(view)] }

// valid answers that a block is valid. Its body is pinned before the core can know.
func (d *Driver) valid(c *check, r *result) {
	d.bodies.store.Pin(c.View, r.block.Header.Seq, r.block.Body)
	d.plan.ahead[r.block.Digest] = r
	d.step(pbft.Checked{View: c.View, Vouched: c.Vouched, Digest: r.block.Digest, Valid: true})
}

// fly says which blocks are in flight: those that slots of the present view name, and that
// are valid. It is made anew from what the core says, and never added up.
func (d *Driver) fly() {
	var blocks []intake.Block
	if v := d.voter; v != nil {
		for _, s := range v.core.Slots() {
			if r := d.plan.find(s.Digest); r != nil && r.block.Header.Count > 0 {
				blocks = append(blocks, intake.Block{Digest: s.Digest, Transactions: r.block.Body.Batch()})
			}
		}
	}
	d.market.pool.InFlight(d.now.Mono, blocks)
}

// standing is what a block stands on, with the parameters that bind it.
type standing struct {
	exec.Tip
	params *genesis.Params
}

// build has the block built that this leader may propose, if it is time: at once when
// nothing is in flight, else when a batch is full or has waited long enough, which is the
// longer the more blocks are in flight. A swarm that is fast is not kept waiting, and one
// that is not gets fewer and larger blocks.
func (d *Driver) build() {
	p := &d.plan
	if p.offer == nil || p.building || d.voter == nil || d.chain.full() || d.market.short() {
		return
	}
	if d.now.Mono < p.idle {
		d.wake(p.idle)
		return
	}
	o := *p.offer
	parent := d.parent(o.Parent)
	// What is in blocks in flight waits still, and is not to be proposed twice.
	waiting := d.market.pool.Ready()
	if parent == nil || waiting <= 0 {
		return
	}
	most := exec.Limits{
		Transactions: min(d.cfg.MaxBatch, int(min(parent.params.MaxBlockTransactions, tx.MaxBatch))),
		Bytes:        int(min(parent.params.MaxBlockBytes, tx.MaxBatchSize)),
	}
	if inFlight := o.Seq - min(o.Seq, d.chain.seq()+1); inFlight > 0 && waiting < most.Transactions {
		if at := p.built + time.Duration(inFlight)*d.cfg.BatchTimeout; d.now.Mono < at {
			d.wake(at)
			return
		}
	}
	p.building = true
	installs := d.chain.installs
	d.do(Execute{
		Job: d.jobs.add(func(e Event) { d.builtBlock(o, installs, e) }), Parent: &parent.Tip,
		Task: BuildBlock{Limits: most, Candidates: d.market.pool.Next(most.Transactions, most.Bytes-exec.BodyHead), Time: d.now.Wall},
	})
}

// grown is how long nothing is built after a transaction was found not to fit into how fast
// the ledger may grow. It waits for room, and others that may fit are behind it.
const grown = 50 * time.Millisecond

// rest is how long nothing is built after a block that none of the candidates was for:
// what they stand on may be in flight.
const rest = tick

// builtBlock proposes a block that was built. Transactions that do not apply on top of
// what is in flight wait; those that do not even apply on top of what is committed go.
func (d *Driver) builtBlock(o pbft.Build, installs uint64, e Event) {
	p := &d.plan
	p.building = false
	x, _ := e.(Executed)
	if x.Err != nil {
		d.unread(installs, x.Err)
		return
	}
	d.judgeThese(x.Doubtful)
	if x.Block == nil {
		p.idle = d.now.Mono + rest
		return
	}
	if d.voter == nil || p.offer == nil || *p.offer != o || d.parent(o.Parent) == nil {
		return // another view, or another block in its place
	}
	r := &result{block: x.Block, params: x.Params}
	d.bodies.store.Pin(o.View, x.Block.Header.Seq, x.Block.Body)
	p.ahead[x.Block.Digest] = r
	p.begun[x.Block.Digest] = d.now.Mono
	p.offer, p.built = nil, d.now.Mono
	d.step(pbft.Built{View: o.View, Header: x.Block.Header})
}
