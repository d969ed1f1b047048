package pool

import (
	"cmp"
	"slices"

	"github.com/decube/decube/ledger/tx"
)

// reservations know which transactions are in blocks in flight. How many blocks
// there are is bounded by who reserves, and what is remembered by their sizes.
type reservations struct {
	blocks map[[32]byte][]tx.ID
	// absent counts the blocks of transactions that are reserved and do not wait.
	absent map[tx.ID]int
}

func (r *reservations) init() {
	r.blocks = make(map[[32]byte][]tx.ID)
	r.absent = make(map[tx.ID]int)
}

// meet returns how many blocks have a transaction that begins to wait.
func (r *reservations) meet(id tx.ID) int {
	n := r.absent[id]
	if n > 0 {
		delete(r.absent, id)
	}
	return n
}

// leave notes that a reserved transaction waits no more.
func (r *reservations) leave(it *item) { r.absent[it.t.ID()] = it.blocks }

// Reserve says that a block with these transactions is in flight: Next passes over
// them, those too that arrive only later, until [Pool.Release]. The block is named by
// its digest. To reserve it again does nothing. The pool keeps ids, which must not
// change.
func (p *Pool) Reserve(block [32]byte, ids []tx.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.reserved.blocks[block]; ok {
		return
	}
	p.reserved.blocks[block] = ids
	for i := range ids {
		it := p.waiting[ids[i]]
		if it == nil {
			p.reserved.absent[ids[i]]++
			continue
		}
		if it.blocks == 0 {
			p.queues[it.origin].unlink(it)
		}
		it.blocks++
	}
}

// Release says that a block is in flight no more, committed (then after
// [Pool.Remove]) or dropped. What still waits of it, and is in no other, is offered
// again, in its old place.
func (p *Pool) Release(blocks ...[32]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	back := make([][]*item, len(p.queues))
	for _, block := range blocks {
		ids := p.reserved.blocks[block]
		delete(p.reserved.blocks, block)
		for i := range ids {
			if it := p.release(ids[i]); it != nil {
				back[it.origin] = append(back[it.origin], it)
			}
		}
	}
	for origin, items := range back {
		slices.SortFunc(items, func(a, b *item) int { return cmp.Compare(a.number, b.number) })
		p.queues[origin].putBack(items)
	}
}

// release takes one block from a transaction. It returns the item when that was the
// last.
func (p *Pool) release(id tx.ID) *item {
	if it := p.waiting[id]; it != nil {
		it.blocks--
		if it.blocks == 0 {
			return it
		}
		return nil
	}
	if n := p.reserved.absent[id]; n > 1 {
		p.reserved.absent[id] = n - 1
	} else {
		delete(p.reserved.absent, id)
	}
	return nil
}
