package intake

import (
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

const (
	// DefaultBytes is how much a pool holds unless it is told otherwise.
	DefaultBytes = 32 << 20
	// DefaultCommitted is how many committed transactions a pool remembers unless it
	// is told otherwise. One takes about 40 bytes.
	DefaultCommitted = 1 << 16
	// Overhead is what a waiting transaction takes in memory, in bytes, beside its
	// encoding. It counts in shares: small transactions would take several times their
	// share otherwise.
	Overhead = 512
	// maxCost is the most that one transaction counts for.
	maxCost = tx.MaxSize + 4 + Overhead
)

// Limits bound what a pool holds.
type Limits struct {
	// Bytes is the most that waiting transactions may take, in bytes, 0 for
	// [DefaultBytes]. It is divided into equal shares by origin, but a share has room
	// for one transaction of the largest size at least.
	Bytes int
	// Committed is how many committed transactions are remembered at least, and at
	// most twice as many, 0 for [DefaultCommitted].
	Committed int
}

// Pool is a set of waiting transactions. See the package comment for its rules.
type Pool struct {
	limits Limits
	queues []*queue
	first  int // the origin whose turn comes first in the next block

	byID   map[tx.ID]*item
	bySlot map[Slot]*item
	races  map[string]*race
	oldest *item // all items in order of arrival
	newest *item
	number uint64 // counts what was put into queues
	bytes  int    // all queues' together

	flights   []Block
	committed uint64       // the last block's sequence number
	absent    map[Slot]int // blocks in flight that use a slot which nothing here waits for
	recent    recent
	filled    uint64 // counts calls of Next

	freeItems  *item  // for reuse, linked by newer
	freePlaces *place // for reuse, linked by next
}

// item is a waiting transaction.
type item struct {
	t      *tx.Transaction
	cost   int // bytes that it counts for in the share of each of its origins
	since  time.Duration
	after  uint64 // the last block that was committed when it came
	blocks int    // in flight that use its slot; in no queue's list unless 0
	race   *race  // for its key, nil when it has none
	filled uint64 // the call of Next that it was last offered in

	verdict verdict
	again   time.Duration // it is not given out to be judged before
	early   bool          // when it last was, the owner's transaction before it was not committed

	older, newer *item
	places       *place // one for each origin it came through, the first one first
}

// NewPool returns an empty pool without origins: see [Pool.SetOrigins].
func NewPool(l Limits) *Pool {
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	if l.Committed <= 0 {
		l.Committed = DefaultCommitted
	}
	return &Pool{
		limits: l, byID: make(map[tx.ID]*item), bySlot: make(map[Slot]*item), races: make(map[string]*race),
		absent: make(map[Slot]int), recent: recent{size: l.Committed},
	}
}

// share returns how many bytes each origin may have waiting.
func (p *Pool) share() int { return max(p.limits.Bytes/max(1, len(p.queues)), maxCost) }

// These come by thousands where several validators pass on the same transactions, so
// they are made once.
var (
	errDuplicate = tx.Reject(tx.CodeDuplicate, "waiting already, or committed lately")
	errOccupied  = tx.Reject(tx.CodeNonceUsed, "another transaction of the owner with this nonce is waiting")
)

// Add puts a transaction in, whose signature was verified, that came through an origin.
// The pool retains t: its memory should not be part of a larger piece, such as a frame
// (see [tx.Transaction.Clone]).
//
// The error is a *[tx.Rejection]: duplicate for one that waits already or was committed
// lately, nonce_used when another one waits for its slot, queue_full when the origin's
// share is, and not_validator when there is no such origin. One that waits already is
// in the queue of this origin as well from now on, if it has room.
func (p *Pool) Add(now time.Duration, t *tx.Transaction, origin int) error {
	if origin < 0 || origin >= len(p.queues) {
		return tx.Reject(tx.CodeNotValidator, "origin %d, of %d", origin, len(p.queues))
	}
	id, q := t.ID(), p.queues[origin]
	if it := p.byID[id]; it != nil {
		if !it.cameThrough(q) && q.bytes+it.cost <= p.share() {
			p.addPlace(now, it, q)
		}
		return errDuplicate
	}
	if p.recent.has(id) {
		return errDuplicate
	}
	slot := SlotOf(t)
	if p.bySlot[slot] != nil {
		return errOccupied
	}
	cost := tx.EncodedSize(t) + Overhead
	if most := p.share(); q.bytes+cost > most {
		return tx.Reject(tx.CodeQueueFull, "%d bytes wait, at most %d by one validator", q.bytes, most)
	}
	it := p.newItem()
	*it = item{t: t, cost: cost, since: now, after: p.committed, again: never, blocks: p.absent[slot], race: p.enter(t), verdict: verdict{at: never}}
	if it.blocks > 0 {
		delete(p.absent, slot)
	}
	if it.race != nil {
		it.race.waiting++
	}
	p.byID[id], p.bySlot[slot] = it, it
	p.linkNewest(it)
	p.addPlace(now, it, q)
	return nil
}

// never is an instant before any that a caller hands in.
const never = time.Duration(-1 << 62)

// Get returns a waiting transaction, and nil when it does not wait.
func (p *Pool) Get(id tx.ID) *tx.Transaction {
	if it := p.byID[id]; it != nil {
		return it.t
	}
	return nil
}

// Lookup is [Pool.Get] for several. The second result is how many of them wait.
func (p *Pool) Lookup(ids []tx.ID) ([]*tx.Transaction, int) {
	ts, found := make([]*tx.Transaction, len(ids)), 0
	for i := range ids {
		if it := p.byID[ids[i]]; it != nil {
			ts[i] = it.t
			found++
		}
	}
	return ts, found
}

// Drop removes what was found invalid, and remembers nothing: it may be valid at
// another time.
func (p *Pool) Drop(now time.Duration, ids []tx.ID) {
	for i := range ids {
		p.remove(now, p.byID[ids[i]])
	}
}

// remove takes an item out, nil for none.
func (p *Pool) remove(now time.Duration, it *item) {
	if it == nil {
		return
	}
	slot := SlotOf(it.t)
	if it.blocks > 0 {
		p.absent[slot] = it.blocks
	}
	for it.places != nil {
		p.removePlace(now, it, it.places)
	}
	p.unlinkAge(it)
	delete(p.byID, it.t.ID())
	delete(p.bySlot, slot)
	if it.race != nil {
		it.race.waiting--
		p.leave(it.t, it.race)
	}
	*it = item{newer: p.freeItems}
	p.freeItems = it
}

// newItem returns an item to fill.
func (p *Pool) newItem() *item {
	it := p.freeItems
	if it == nil {
		return new(item)
	}
	p.freeItems = it.newer
	return it
}

// Len returns how many transactions wait.
func (p *Pool) Len() int { return len(p.byID) }

// Ready returns how many of the transactions that wait are in no block in flight.
func (p *Pool) Ready() int {
	n := 0
	for _, q := range p.queues {
		n += q.ready
	}
	return n
}

// Stats is what a pool holds.
type Stats struct {
	Transactions int
	Ready        int   // of them, those in no block in flight
	Bytes        int   // that count in shares
	Origins      []int // the same by origin
}

// Stats returns what the pool holds.
func (p *Pool) Stats() Stats {
	s := Stats{Transactions: len(p.byID), Ready: p.Ready(), Bytes: p.bytes, Origins: make([]int, len(p.queues))}
	for i, q := range p.queues {
		s.Origins[i] = q.bytes
	}
	return s
}

// SetOrigins says through which validators transactions come from now on, numbered in
// the given order. What waits stays with the validator that it came through. What
// came through one that has left is given to those who stay, where most room is, and
// what has no room in the new shares leaves, the youngest first: it is returned.
func (p *Pool) SetOrigins(now time.Duration, validators []sig.PublicKey) []*tx.Transaction {
	old := p.queues
	p.queues, p.first = make([]*queue, 0, len(validators)), 0
	for _, v := range validators {
		at := 0
		for at < len(old) && (old[at] == nil || old[at].validator != v) {
			at++
		}
		if at == len(old) {
			p.queues = append(p.queues, &queue{validator: v, validAt: never, look: 1})
			continue
		}
		p.queues = append(p.queues, old[at])
		old[at] = nil
	}
	for _, q := range old {
		if q != nil {
			p.giveAway(now, q)
		}
	}
	return p.trim(now)
}

// giveAway moves a queue's places to the queues with the most room.
func (p *Pool) giveAway(now time.Duration, from *queue) {
	// Items in flight are in no list, so all items are looked at.
	for it := p.oldest; it != nil && len(p.queues) > 0; it = it.newer {
		if !it.cameThrough(from) {
			continue
		}
		to := p.queues[0]
		for _, q := range p.queues[1:] {
			if q.bytes < to.bytes {
				to = q
			}
		}
		if !it.cameThrough(to) {
			p.addPlace(now, it, to)
		}
		p.removePlace(now, it, it.placeOf(from))
	}
}

// trim drops what is more than its origin's share, and what has no origin.
func (p *Pool) trim(now time.Duration) []*tx.Transaction {
	var dropped []*tx.Transaction
	share := p.share()
	for it := p.newest; it != nil; {
		older := it.older
		for pl := it.places; pl != nil; {
			other := pl.other
			if pl.q.bytes > share && it.blocks == 0 || len(p.queues) == 0 {
				p.removePlace(now, it, pl)
			}
			pl = other
		}
		if it.places == nil {
			dropped = append(dropped, it.t)
			p.remove(now, it)
		}
		it = older
	}
	return dropped
}
