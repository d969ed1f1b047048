package ledger

import (
	"slices"
	"sync"
	"time"

	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// pool is the transactions that wait, for the loops that share them. Origins are named
// by their keys here, since loops may be of different minds about the epoch for a moment.
type pool struct {
	mu      sync.Mutex
	clock   *clock
	last    time.Duration // the latest instant that was told: loops read the clock before they get here
	origins []sig.PublicKey
	waiting *intake.Pool
}

func newPool(c *clock) *pool { return &pool{clock: c, waiting: intake.NewPool(intake.Limits{})} }

// locked calls f with the pool and the present instant.
func (p *pool) locked(f func(waiting *intake.Pool, now time.Duration)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = max(p.last, p.clock.elapsed())
	f(p.waiting, p.last)
}

// setOrigins says who the validators are, and returns what has no room any more.
func (p *pool) setOrigins(keys []sig.PublicKey) (dropped []*tx.Transaction) {
	p.locked(func(waiting *intake.Pool, now time.Duration) {
		p.origins = slices.Clone(keys)
		dropped = waiting.SetOrigins(now, keys)
	})
	return dropped
}

// addOrigins adds validators of the next epoch to those of the present one.
func (p *pool) addOrigins(keys []sig.PublicKey) []*tx.Transaction {
	p.mu.Lock()
	all := slices.Clone(p.origins)
	p.mu.Unlock()
	for _, key := range keys {
		if !slices.Contains(all, key) {
			all = append(all, key)
		}
	}
	return p.setOrigins(all)
}

// add puts a verified transaction in that came through a validator.
func (p *pool) add(t *tx.Transaction, from sig.PublicKey) (err error) {
	p.locked(func(waiting *intake.Pool, now time.Duration) {
		err = waiting.Add(now, t, slices.Index(p.origins, from))
	})
	return err
}

// get returns a waiting transaction, and nil when it does not wait.
func (p *pool) get(id tx.ID) *tx.Transaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting.Get(id)
}

// lookup is get for several, and says how many of them wait.
func (p *pool) lookup(ids []tx.ID) ([]*tx.Transaction, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting.Lookup(ids)
}

// len returns how many transactions wait.
func (p *pool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting.Len()
}

// ready returns how many of them are in no block in flight.
func (p *pool) ready() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting.Ready()
}

// next returns what a block may have.
func (p *pool) next(maxTx, maxBytes int) []*tx.Transaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting.Next(maxTx, maxBytes)
}

// oldest returns for how long a leader has left out what it could have proposed, and
// how much waits that it could.
func (p *pool) oldest() (age time.Duration, waiting int) {
	p.locked(func(pool *intake.Pool, now time.Duration) { age, waiting = pool.Oldest(now), pool.Waiting(now) })
	return age, waiting
}

// overdue returns what is to be sent to everybody again.
func (p *pool) overdue(age time.Duration, own sig.PublicKey, most int) (ts []*tx.Transaction) {
	p.locked(func(waiting *intake.Pool, now time.Duration) {
		ts = waiting.Overdue(now, age, slices.Index(p.origins, own), most)
	})
	return ts
}

// fly says which blocks are in flight: those that slots of the present view name, and
// that were found valid.
func (x *executor) fly() {
	blocks := make([]intake.Block, 0, len(x.ahead))
	for digest, done := range x.ahead {
		blocks = append(blocks, intake.Block{Digest: digest, Transactions: done.Body.Batch()})
	}
	x.pool.locked(func(waiting *intake.Pool, now time.Duration) { waiting.InFlight(now, blocks) })
}

// leave removes from the pool what a committed block decides. Who waits for a transaction
// that has lost its nonce to another one is told.
func (x *executor) leave(seq uint64, b intake.Block) {
	var lost []*tx.Transaction
	x.pool.locked(func(waiting *intake.Pool, now time.Duration) { lost = waiting.Committed(now, seq, b) })
	for _, t := range lost {
		x.refuse(t.ID(), tx.Reject(tx.CodeNonceUsed, "another transaction of the owner with nonce %d was committed", t.Nonce))
	}
}

// refuse tells whoever waits for a transaction that it is not to be committed.
func (l *Ledger) refuse(id tx.ID, err error) {
	if code, ok := tx.CodeOf(err); ok {
		l.observer.Rejected(code)
	}
	l.waiters.tell(id, outcome{err: err})
}

// dropped tells whoever waits for transactions that have lost their room.
func (l *Ledger) dropped(ts []*tx.Transaction) {
	for _, t := range ts {
		l.refuse(t.ID(), tx.Reject(tx.CodeQueueFull, "each of more validators has less room"))
	}
}

// judgeMost is how many waiting transactions are judged in one turn of the loop.
const judgeMost = 64

// judge finds out whether what waits longest is valid on the committed state: only then
// is a leader suspected for leaving it out. It is to be called again at once where there
// was junk, which more says. The error is a disk's.
func (x *executor) judge() (more bool, err error) {
	var ts []*tx.Transaction
	x.pool.locked(func(waiting *intake.Pool, now time.Duration) { ts = waiting.ToJudge(now, judgeMost) })
	dropped, err := x.reject(ts)
	if dropped > 0 {
		x.box.put(wake{})
	}
	return dropped > 0, err
}

// reject drops those transactions that do not apply to the committed state, and tells
// whoever waits for them. It returns how many it has dropped. The error is a disk's.
func (x *executor) reject(ts []*tx.Transaction) (int, error) {
	if len(ts) == 0 {
		return 0, nil
	}
	seq := x.head.header.Seq
	rejections, err := exec.Judge(x.head.state, ts, seq+1, max(time.Now().UnixMilli(), x.head.header.Time))
	if err != nil {
		return 0, err
	}
	verdicts := make([]intake.Verdict, len(ts))
	for i, t := range ts {
		verdicts[i].ID = t.ID()
		if rejections[i] != nil {
			verdicts[i].Err = rejections[i]
		}
	}
	var invalid []intake.Verdict
	x.pool.locked(func(waiting *intake.Pool, now time.Duration) { invalid = waiting.Judged(now, seq, verdicts) })
	for _, v := range invalid {
		x.refuse(v.ID, v.Err)
	}
	return len(invalid), nil
}

// expire drops what has waited for too long.
func (x *executor) expire() {
	now := x.clock.now()
	if now-x.expired < expireEvery {
		return
	}
	x.expired = now
	var ts []*tx.Transaction
	x.pool.locked(func(waiting *intake.Pool, now time.Duration) { ts = waiting.Expire(now, expireAfter) })
	for _, t := range ts {
		x.refuse(t.ID(), tx.Reject(tx.CodeExpired, "waited %v", expireAfter))
	}
}

const (
	// expireEvery is how often it is looked for what has waited for too long, in ticks.
	expireEvery = 100
	// expireAfter is how long a transaction waits at all.
	expireAfter = time.Minute
)
