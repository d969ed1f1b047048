package pool

import (
	"sync"

	"github.com/decube/decube/ledger/tx"
)

// Limits bound what a pool holds. Each origin may fill an equal share of
// Transactions and Bytes, and at least one transaction's.
type Limits struct {
	// Transactions is the most transactions that wait, 0 for DefaultLimits'.
	Transactions int
	// Bytes is the most that their encodings take in a block's body, 0 for
	// DefaultLimits'.
	Bytes int
	// Committed is how many committed transactions are remembered at least, and at
	// most twice as many, 0 for DefaultLimits'.
	Committed int
}

// DefaultLimits returns the limits for a validator of a busy network: some seconds'
// worth of transactions, in about 100 MiB when it is full.
func DefaultLimits() Limits {
	return Limits{Transactions: 100_000, Bytes: 64 << 20, Committed: 1 << 16}
}

// withDefaults returns the limits with every field set.
func (l Limits) withDefaults() Limits {
	def := DefaultLimits()
	if l.Transactions <= 0 {
		l.Transactions = def.Transactions
	}
	if l.Bytes <= 0 {
		l.Bytes = def.Bytes
	}
	if l.Committed <= 0 {
		l.Committed = def.Committed
	}
	return l
}

// Pool is a set of waiting transactions. It is safe for concurrent use.
type Pool struct {
	mu       sync.Mutex
	limits   Limits
	origins  int // how many may add; queues of those beyond are drained
	queues   []queue
	first    int // the origin whose turn it is first in the next block
	waiting  map[tx.ID]*item
	oldest   *item // all of waiting, in order of arrival
	newest   *item
	arrivals uint64 // how many items there ever were
	bytes    int
	recent   recent
	reserved reservations
	free     *item // items for reuse, linked by next
}

// item is a waiting transaction.
type item struct {
	t      *tx.Transaction
	size   int // in a block's body
	origin int
	number uint64 // counts arrivals
	since  uint64 // when it arrived, in ticks
	blocks int    // in flight, with the transaction in it; 0 when it is in a queue

	older, newer *item // in order of arrival
	prev, next   *item // in the origin's queue
}

// New returns an empty pool of one origin.
func New(l Limits) *Pool {
	p := &Pool{limits: l.withDefaults(), waiting: make(map[tx.ID]*item)}
	p.recent.size = p.limits.Committed
	p.reserved.init()
	p.SetOrigins(1)
	return p
}

// SetOrigins says how many validators transactions come through from now on, at
// least one, numbered from 0. What waits keeps its place under the number it came
// by, also when that is none any more.
func (p *Pool) SetOrigins(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.origins = max(n, 1)
	for len(p.queues) < p.origins {
		p.queues = append(p.queues, queue{})
	}
}

// errDuplicate is what comes by thousands where several validators pass on the same
// transactions, so it is made once.
var errDuplicate = tx.Reject(tx.CodeDuplicate, "waiting already, or committed lately")

// Add takes a transaction in that came through an origin at a time. Whoever calls
// has verified it. The error is a *tx.Rejection: duplicate, or queue_full when the
// origin's share is.
func (p *Pool) Add(t *tx.Transaction, origin int, now uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.add(t, origin, now)
}

// AddAll is [Pool.Add] for several transactions. It returns nil when all were taken
// in, and else one error for each, nil for those that were.
func (p *Pool) AddAll(ts []*tx.Transaction, origin int, now uint64) []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for i, t := range ts {
		if err := p.add(t, origin, now); err != nil {
			if errs == nil {
				errs = make([]error, len(ts))
			}
			errs[i] = err
		}
	}
	return errs
}

func (p *Pool) add(t *tx.Transaction, origin int, now uint64) error {
	if origin < 0 || origin >= p.origins {
		return tx.Reject(tx.CodeNotValidator, "origin %d, of %d", origin, p.origins)
	}
	id := t.ID()
	if p.waiting[id] != nil || p.recent.has(id) {
		return errDuplicate
	}
	q, size := &p.queues[origin], tx.EncodedSize(t)
	if err := p.checkShare(q, size); err != nil {
		return err
	}
	it := p.take()
	p.arrivals++
	*it = item{t: t, size: size, origin: origin, number: p.arrivals, since: now, blocks: p.reserved.meet(id)}
	p.waiting[id] = it
	p.bytes += size
	q.count, q.bytes = q.count+1, q.bytes+size
	p.linkNewest(it)
	if it.blocks == 0 {
		q.pushBack(it)
	}
	return nil
}

// checkShare returns a *tx.Rejection unless the origin has room for a transaction of
// that size. One transaction always has room.
func (p *Pool) checkShare(q *queue, size int) error {
	if q.count == 0 {
		return nil
	}
	if most := p.limits.Transactions / p.origins; q.count >= most {
		return tx.Reject(tx.CodeQueueFull, "%d transactions wait, at most %d by one validator", q.count, most)
	}
	if most := p.limits.Bytes / p.origins; q.bytes+size > most {
		return tx.Reject(tx.CodeQueueFull, "%d bytes wait, at most %d by one validator", q.bytes, most)
	}
	return nil
}

// Get returns a waiting transaction, and nil when it does not wait.
func (p *Pool) Get(id tx.ID) *tx.Transaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	if it := p.waiting[id]; it != nil {
		return it.t
	}
	return nil
}

// GetAll is [Pool.Get] for several. The second result is how many of them wait.
func (p *Pool) GetAll(ids []tx.ID) ([]*tx.Transaction, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ts, found := make([]*tx.Transaction, len(ids)), 0
	for i := range ids {
		if it := p.waiting[ids[i]]; it != nil {
			ts[i] = it.t
			found++
		}
	}
	return ts, found
}

// Remove takes out what was committed, waiting or not, and remembers it for a while:
// it is a duplicate then.
func (p *Pool) Remove(ids []tx.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range ids {
		p.recent.put(ids[i])
		p.drop(p.waiting[ids[i]])
	}
}

// Drop takes out what was found invalid, and remembers nothing: it may be valid at
// another time.
func (p *Pool) Drop(ids []tx.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range ids {
		p.drop(p.waiting[ids[i]])
	}
}

// drop takes an item out, nil for none.
func (p *Pool) drop(it *item) {
	if it == nil {
		return
	}
	q := &p.queues[it.origin]
	if it.blocks == 0 {
		q.unlink(it)
	} else {
		p.reserved.leave(it)
	}
	q.count, q.bytes = q.count-1, q.bytes-it.size
	p.bytes -= it.size
	p.unlinkAge(it)
	delete(p.waiting, it.t.ID())
	*it = item{next: p.free}
	p.free = it
}

// take returns an item to fill.
func (p *Pool) take() *item {
	if p.free == nil {
		return new(item)
	}
	it := p.free
	p.free = it.next
	return it
}

// Stats is what a pool holds.
type Stats struct {
	Transactions int
	Bytes        int
	Reserved     int   // transactions in blocks in flight, among Transactions
	Origins      []int // transactions by origin
}

// Stats returns what the pool holds.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Transactions: len(p.waiting), Bytes: p.bytes, Origins: make([]int, len(p.queues))}
	for i := range p.queues {
		s.Origins[i] = p.queues[i].count
		s.Reserved += p.queues[i].count - p.queues[i].queued
	}
	return s
}

// Len returns how many transactions wait.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting)
}
