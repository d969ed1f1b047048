package pool

import "github.com/decube/decube/ledger/tx"

const (
	// Quantum is how many bytes an origin may spend in one round of a block.
	Quantum = 4 << 10
	// maxCredit is more than any transaction takes, so that each is reached.
	maxCredit = tx.MaxSize + Quantum + 8
)

// Next returns the transactions for a block of at most maxTx transactions that take
// at most maxBytes bytes with their lengths, and leaves them waiting. It passes over
// what is reserved, and what skip, which may be nil, returns true for; skip must not
// call the pool. A transaction that does not fit in an empty block is passed over; one
// that does not fit beside the others ends its origin's turns, so that none of the same
// owner overtakes it.
func (p *Pool) Next(maxTx, maxBytes int, skip func(tx.ID) bool) []*tx.Transaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	ts := make([]*tx.Transaction, 0, max(0, min(maxTx, len(p.waiting))))
	if maxTx <= 0 || maxBytes <= 0 {
		return ts
	}
	f := filler{left: maxBytes, most: maxTx, whole: maxBytes, skip: skip, ts: ts}
	turns := make([]turn, 0, len(p.queues))
	for i := range p.queues {
		q := &p.queues[(p.first+i)%len(p.queues)]
		if q.head == nil {
			q.credit = 0
			continue
		}
		turns = append(turns, turn{q: q, at: q.head})
	}
	p.first = (p.first + 1) % len(p.queues)
	for len(turns) > 0 && !f.full() {
		rest := turns[:0]
		for _, t := range turns {
			if f.round(&t) {
				rest = append(rest, t)
			}
		}
		turns = rest
	}
	return f.ts
}

// turn is an origin that a block is being filled from.
type turn struct {
	q  *queue
	at *item // what comes next
}

// filler fills a block.
type filler struct {
	left, most, whole int
	skip              func(tx.ID) bool
	ts                []*tx.Transaction
}

func (f *filler) full() bool { return len(f.ts) >= f.most || f.left == 0 }

// round takes from an origin what it can pay for in one round. It reports whether
// the origin has more.
func (f *filler) round(t *turn) bool {
	if f.full() {
		return false
	}
	t.q.credit = min(t.q.credit+Quantum, maxCredit)
	for t.at != nil {
		it := t.at
		switch {
		case it.size > f.whole || f.skip != nil && f.skip(it.t.ID()):
			t.at = it.next
			continue
		case it.size > f.left:
			return false
		case it.size > t.q.credit:
			return true
		}
		t.q.credit -= it.size
		f.left -= it.size
		f.ts = append(f.ts, it.t)
		t.at = it.next
		if f.full() {
			return false
		}
	}
	t.q.credit = 0 // nothing is saved up by who has nothing to spend on
	return false
}
