package pool

import "github.com/decube/decube/ledger/tx"

// Oldest returns for how many ticks the longest waiting transaction has waited, and
// 0 when none waits. Those in blocks in flight wait still.
func (p *Pool) Oldest(now uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.oldest == nil {
		return 0
	}
	return p.oldest.age(now)
}

// Overdue returns at most so many of the transactions that have waited for age
// ticks or longer, those first that have waited longest.
func (p *Pool) Overdue(now, age uint64, most int) []*tx.Transaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ts []*tx.Transaction
	for it := p.oldest; it != nil && len(ts) < most && it.age(now) >= age; it = it.newer {
		ts = append(ts, it.t)
	}
	return ts
}

// Expire takes out the transactions that have waited for longer than age ticks, and
// returns them. Those in blocks in flight stay: they are about to be decided.
func (p *Pool) Expire(now, age uint64) []*tx.Transaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ts []*tx.Transaction
	for it := p.oldest; it != nil && it.age(now) > age; {
		newer := it.newer
		if it.blocks == 0 {
			ts = append(ts, it.t)
			p.drop(it)
		}
		it = newer
	}
	return ts
}

// age returns for how long the item has waited. A clock that went back has it wait
// for nothing.
func (it *item) age(now uint64) uint64 {
	if now < it.since {
		return 0
	}
	return now - it.since
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
