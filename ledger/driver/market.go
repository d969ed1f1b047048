package driver

import (
	"slices"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

const (
	// passApart is how far apart frames of transactions are under load, and passBehind the
	// same while more waits than a block takes: nothing is gained by being early then, and
	// large frames are verified in large batches.
	passApart  = time.Millisecond
	passBehind = 10 * time.Millisecond
	// passSize is how many bytes of transactions go into one frame: a frame has at most as
	// many as a block, however small its blocks are allowed to be.
	passSize = 120 << 10
	// maxPassing is how many bytes wait to be passed on. What is beyond is sent again when
	// it is overdue.
	maxPassing = 4 << 20

	// judgeEvery is how often it is found out whether what waits longest is valid, and
	// judgeMost of how many transactions at a time.
	judgeEvery = 100 * time.Millisecond
	judgeMost  = 64
	// expireAfter is how long a transaction waits at all, and expireEvery how often it is
	// looked for what has waited for longer.
	expireAfter = time.Minute
	expireEvery = time.Second
	// verifying is how many jobs with transactions from the gate are out: with one, what
	// comes meanwhile is verified together.
	verifying = 1

	// lowDisk is how many bytes must be free for a transaction to be taken, and noDisk for
	// a block to be voted for that has others than validators' votes.
	lowDisk = 1 << 30
	noDisk  = 256 << 20
)

var errLessRoom = tx.Reject(tx.CodeQueueFull, "each of more validators has less room")

// market is what transactions wait in.
type market struct {
	pool    *intake.Pool
	gate    *intake.Gate
	tickets *intake.Tickets
	origins genesis.ValidatorSet
	known   bool // the owner of what is being put in line
	free    uint64

	carrying int // jobs with others' transactions that are out
	out      int // jobs from the gate that are out
	outBytes int // of their transactions
	passing  []*tx.Transaction
	bytes    int // of passing
	passed   time.Duration

	judged    time.Duration
	judging   bool
	expired   time.Duration
	forwarded struct {
		at     time.Duration
		passed uint64
	}
}

func newMarket(d *Driver) market {
	m := market{pool: intake.NewPool(intake.Limits{}), tickets: intake.NewTickets(), free: 1 << 62, passed: -time.Hour}
	m.gate = intake.NewGate(func(sig.PublicKey) bool { return d.market.known })
	return m
}

// tick returns what a tick says: what waits that a leader could propose, and for how long.
// Whatever waits at all has waited for a tick.
func (m *market) tick(now time.Duration) pbft.Tick {
	age := m.pool.Oldest(now)
	t := pbft.Tick{Oldest: uint64(age / tick), Waiting: uint64(m.pool.Waiting(now))}
	if age > 0 {
		t.Oldest = max(1, t.Oldest)
	}
	return t
}

// short reports whether the disk has no room for transactions.
func (m *market) short() bool { return m.free < lowDisk }

// stores reports whether the disk has room for a block with this body.
func (m *market) stores(c *body.Content) bool {
	return m.free >= noDisk || !slices.ContainsFunc(c.Batch(), func(t *tx.Transaction) bool { return !t.Op.Type().Governs() })
}

// lookup returns transactions that wait in the pool.
func (m *market) lookup(ids []tx.ID) (found []*tx.Transaction, missing int) {
	found, count := m.pool.Lookup(ids)
	return found, len(ids) - count
}

// submitted takes a transaction of a client or a follower.
func (d *Driver) submitted(s *Submitted) {
	m := &d.market
	if err := m.tickets.Open(s.Ticket, s.From.Class(), s.Tx.ID()); err != nil {
		d.answer(intake.Answer{Ticket: s.Ticket, Outcome: intake.Outcome{Err: err}})
		return
	}
	err := error(nil)
	if m.short() {
		err = tx.Reject(tx.CodeQueueFull, "the disk of this peer is full")
	} else {
		m.known = s.Known
		err = m.gate.Submit(d.now.Mono, s.From, s.Ticket, s.Tx)
	}
	if err != nil {
		d.refuseTicket(s.Ticket, err)
	}
}

// withdrawn forgets who waited.
func (d *Driver) withdrawn(t intake.Ticket) {
	d.market.tickets.Withdraw(t)
	d.hand.withdraw(d, t)
}

// refuse tells all who wait for a transaction that it is not to be committed, unless it is
// committed meanwhile.
func (d *Driver) refuse(id tx.ID, err error) {
	if d.chain.committing(id) {
		return
	}
	if code, ok := tx.CodeOf(err); ok {
		d.notice(TxRejected{code})
	}
	for _, a := range d.market.tickets.Resolve(id, intake.Outcome{Err: err}) {
		d.answer(a)
	}
}

// refuseTicket tells one.
func (d *Driver) refuseTicket(t intake.Ticket, err error) {
	if a, waits := d.market.tickets.Refuse(t, err); waits {
		d.answer(a)
	}
}

// refuseUnlessCommitted tells one, unless its transaction is committed meanwhile.
func (d *Driver) refuseUnlessCommitted(t intake.Ticket, id tx.ID, err error) {
	if !d.chain.committing(id) {
		d.refuseTicket(t, err)
	}
}

// answer tells who waits for a ticket what became of its transaction.
func (d *Driver) answer(a intake.Answer) {
	if a.Ticket&ownTicket != 0 {
		d.renew.answered(d, a)
		return
	}
	d.do(Answer{a})
}

// admit has transactions verified that wait in the gate, and those of clients judged on
// the last committed block.
func (d *Driver) admit() {
	m := &d.market
	for m.out < verifying {
		batch, refused := m.gate.Batch(d.now.Mono)
		for _, t := range refused {
			d.refuseTicket(t, tx.Reject(tx.CodeQueueFull, "another transaction from there had a bad signature"))
		}
		if len(batch) == 0 {
			return
		}
		txs, fresh, bytes := make([]*tx.Transaction, len(batch)), make([]bool, len(batch)), 0
		for i := range batch {
			txs[i], fresh[i] = batch[i].Transaction, batch[i].From.Class() != intake.Validators
			bytes += tx.EncodedSize(txs[i]) + intake.Overhead
		}
		m.out, m.outBytes = m.out+1, m.outBytes+bytes
		others := 0
		if slices.Contains(fresh, false) {
			others = 1
		}
		m.carrying += others
		tip := d.chain.head.Tip
		d.do(CheckTxs{Txs: txs, Fresh: fresh, On: &tip, Time: d.now.Wall, Job: d.jobs.add(func(e Event) {
			m.out, m.outBytes = m.out-1, m.outBytes-bytes
			m.carrying -= others
			checked, _ := e.(TxsChecked)
			for i := range batch {
				d.admitted(&batch[i], checked.Errs[i])
			}
		})})
	}
}

// admitted takes a transaction whose signature was looked at.
func (d *Driver) admitted(p *intake.Pending, err error) {
	m := &d.market
	if code, _ := tx.CodeOf(err); code == tx.CodeBadSignature || code == tx.CodeWrongNetwork {
		m.gate.BadSignature(d.now.Mono, p.From)
	}
	if p.From.Class() == intake.Validators {
		if err != nil {
			d.misbehaved("invalid transaction", p.From.Validator(), err)
			return
		}
		// What waits is not to hold the whole frame in memory that it came in.
		err := m.pool.Add(d.now.Mono, p.Transaction.Clone(), slices.Index(m.origins, p.From.Validator()))
		if code, _ := tx.CodeOf(err); code == tx.CodeQueueFull {
			d.notice(FrameDropped{"transaction of another validator"})
		}
		return
	}
	if err != nil {
		d.refuseUnlessCommitted(p.Ticket, p.Transaction.ID(), err)
		return
	}
	if d.voter == nil {
		d.hand.submit(d, p.Ticket, handed{Transaction: p.Transaction})
		return
	}
	d.pool(p.Ticket, p.Transaction)
}

// pool has a client's transaction wait to be ordered, and passes it on.
func (d *Driver) pool(ticket intake.Ticket, t *tx.Transaction) {
	m := &d.market
	err := m.pool.Add(d.now.Mono, t, int(d.voter.self))
	switch code, _ := tx.CodeOf(err); {
	case err == nil:
		d.passOn(t)
	case code == tx.CodeDuplicate && m.pool.Get(t.ID()) != nil: // it is on its way
	default:
		d.refuseUnlessCommitted(ticket, t.ID(), err)
	}
}

// passOn has a transaction sent to the other validators.
func (d *Driver) passOn(ts ...*tx.Transaction) {
	m := &d.market
	for _, t := range ts {
		if size := tx.EncodedSize(t); m.bytes+size <= maxPassing {
			m.passing, m.bytes = append(m.passing, t), m.bytes+size
		}
	}
}

// pass sends clients' transactions to the other validators: what has come since the last
// frames goes into the next. At first sight one goes out at once; under load, frames are
// some way apart.
func (d *Driver) pass() {
	m := &d.market
	if len(m.passing) == 0 {
		return
	}
	interval := passApart
	if m.pool.Len() > d.cfg.MaxBatch {
		interval = passBehind
	}
	if at := m.passed + interval; d.now.Mono < at {
		d.wake(at)
		return
	}
	m.passed = d.now.Mono
	batch := tx.Batch(m.passing)
	m.passing, m.bytes = nil, 0
	if d.voter == nil {
		return
	}
	for len(batch) > 0 {
		n, size := 0, 0
		for n < len(batch) && n < tx.MaxBatch {
			if size += tx.EncodedSize(batch[n]); n > 0 && size > passSize {
				break
			}
			n++
		}
		d.do(Send{To: d.voter.others(), Class: Bulk, Frame: codec.Transactions{Encoded: batch[:n].AppendTo(nil)}})
		batch = batch[n:]
	}
}

// passOverdue sends transactions that wait for longer than the queue does not explain to
// all validators again. To send all of a long queue again would only make it longer.
func (d *Driver) passOverdue() {
	m := &d.market
	after := time.Duration(d.cfg.Core.ForwardAfter) * tick
	if passed := d.chain.passed - m.forwarded.passed; passed > 0 {
		since := d.now.Mono - m.forwarded.at
		queue := 2 * time.Duration(m.pool.Len()) * since / time.Duration(passed)
		after += min(queue, time.Duration(d.cfg.Core.CensorTimeout/4)*tick)
	}
	m.forwarded.at, m.forwarded.passed = d.now.Mono, d.chain.passed
	d.passOn(m.pool.Overdue(d.now.Mono, after, int(d.voter.self), d.cfg.MaxBatch)...)
}

// judge finds out whether what waits longest is valid on the committed state, since only
// then a leader is suspected for leaving it out, and drops what has waited for too long.
// What is in a block within a tick need not be judged: to judge all that comes would be to
// carry it out once more.
func (d *Driver) judge() {
	m := &d.market
	if m.pool.Len() == 0 {
		return
	}
	if d.now.Mono-m.expired >= expireEvery {
		m.expired = d.now.Mono
		for _, t := range m.pool.Expire(d.now.Mono, expireAfter) {
			d.refuse(t.ID(), tx.Reject(tx.CodeExpired, "waited %v", expireAfter))
		}
	}
	if !m.judging && d.now.Mono-m.judged >= judgeEvery {
		m.judged = d.now.Mono
		d.judgeThese(m.pool.ToJudge(d.now.Mono, judgeMost))
	}
	if !m.judging { // its end is an event
		d.wake(m.judged + judgeEvery)
	}
}

// judgeThese drops those transactions that do not apply to the committed state, and tells
// who waits for them.
func (d *Driver) judgeThese(ts []*tx.Transaction) {
	if len(ts) == 0 {
		return
	}
	m := &d.market
	tip, installs := d.chain.head.Tip, d.chain.installs
	m.judging = true
	d.do(Judge{On: &tip, Txs: ts, Time: d.now.Wall, Job: d.jobs.add(func(e Event) {
		m.judging = false
		judged, _ := e.(Judged)
		if judged.Err != nil {
			d.unread(installs, judged.Err)
			return
		}
		verdicts := make([]intake.Verdict, len(ts))
		for i, t := range ts {
			verdicts[i].ID = t.ID()
			r := judged.Rejections[i]
			if r == nil {
				continue
			}
			verdicts[i].Err = r
			if r.Code == tx.CodeGrowth {
				// It waits, and the ledger is full: blocks of what fits are made now and then.
				d.plan.idle = max(d.plan.idle, d.now.Mono+grown)
			}
		}
		invalid := m.pool.Judged(d.now.Mono, tip.Header.Seq, verdicts)
		for _, v := range invalid {
			d.refuse(v.ID, v.Err)
		}
		if len(invalid) > 0 {
			m.judged = d.now.Mono - judgeEvery // what was behind junk is looked at at once
		}
	})})
}
