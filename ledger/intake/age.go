package intake

import (
	"time"

	"github.com/decube/decube/ledger/tx"
)

// Overdue returns transactions that have waited for age or longer and are to be sent to
// everybody again: of the others' origins the fronts, and those that came through origin
// own, in order, until there are so many. What one validator lacks of another's clients' is
// sent again by the one that they came through; others see to it that nobody is suspected
// for what never reached him, and an origin that floods is not multiplied by them. One of
// its own is always among them: the others' fronts may be junk that stays.
func (p *Pool) Overdue(now, age time.Duration, own, most int) []*tx.Transaction {
	var ts []*tx.Transaction
	for i, q := range p.queues {
		if i != own && q.head != nil && now-q.head.it.since >= age {
			ts = append(ts, q.head.it.t)
		}
	}
	if own < 0 || own >= len(p.queues) {
		return ts
	}
	for pl, most := p.queues[own].head, max(most, len(ts)+1); pl != nil && len(ts) < most; pl = pl.next {
		if now-pl.it.since < age {
			break
		}
		ts = append(ts, pl.it.t)
	}
	return ts
}

// Expire removes the transactions that have waited for longer than age, and returns them.
// Those in blocks in flight stay: they are about to be decided.
func (p *Pool) Expire(now, age time.Duration) []*tx.Transaction {
	var ts []*tx.Transaction
	for it := p.oldest; it != nil && now-it.since > age; {
		newer := it.newer
		if it.blocks == 0 {
			ts = append(ts, it.t)
			p.remove(now, it)
		}
		it = newer
	}
	return ts
}

// linkNewest puts an item at the end of the order of arrival.
func (p *Pool) linkNewest(it *item) {
	it.older = p.newest
	if p.newest == nil {
		p.oldest = it
	} else {
		p.newest.newer = it
	}
	p.newest = it
}

// unlinkAge takes an item out of the order of arrival.
func (p *Pool) unlinkAge(it *item) {
	if it.older == nil {
		p.oldest = it.newer
	} else {
		it.older.newer = it.newer
	}
	if it.newer == nil {
		p.newest = it.older
	} else {
		it.newer.older = it.older
	}
}
