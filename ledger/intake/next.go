package intake

import "github.com/decube/decube/ledger/tx"

const (
	// Quantum is how many bytes an origin may spend in one round of a block.
	Quantum = 4 << 10
	// maxCredit is more than any transaction takes, so that each is reached.
	maxCredit = tx.MaxSize + Quantum + 8
)

// Next returns the transactions for a block of at most maxTx transactions that take at
// most maxBytes bytes of its body, and leaves them waiting. What is in flight is not
// among them. A transaction that does not fit in an empty block is passed over; one that
// does not fit beside the others ends its origin's turns, so that none of the same owner
// overtakes it. The caller leaves out what is not valid: see [Pool.Drop].
func (p *Pool) Next(maxTx, maxBytes int) []*tx.Transaction {
	if maxTx <= 0 || maxBytes <= 0 || len(p.queues) == 0 {
		return nil
	}
	p.filled++
	f := filler{left: maxBytes, most: maxTx, whole: maxBytes, filled: p.filled, ts: make([]*tx.Transaction, 0, min(maxTx, p.Ready()))}
	turns := make([]turn, 0, len(p.queues))
	for i := range p.queues {
		q := p.queues[(p.first+i)%len(p.queues)]
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
	at *place // what comes next
}

// filler fills a block.
type filler struct {
	left, most, whole int
	filled            uint64 // what items that are in the block already are marked with
	ts                []*tx.Transaction
}

func (f *filler) full() bool { return len(f.ts) >= f.most || f.left == 0 }

// round adds what an origin can pay for in one round. It reports whether the origin has
// more.
func (f *filler) round(t *turn) bool {
	if f.full() {
		return false
	}
	t.q.credit = min(t.q.credit+Quantum, maxCredit)
	for t.at != nil {
		it := t.at.it
		size := it.cost - Overhead
		switch {
		case size > f.whole || it.filled == f.filled: // another origin's turn was earlier
			t.at = t.at.next
			continue
		case size > f.left:
			return false
		case size > t.q.credit:
			return true
		}
		t.q.credit -= size
		f.left -= size
		it.filled = f.filled
		f.ts = append(f.ts, it.t)
		t.at = t.at.next
		if f.full() {
			return false
		}
	}
	t.q.credit = 0 // nothing is saved up by who has nothing to spend on
	return false
}
