package intake

import (
	"slices"
	"time"

	"github.com/decube/decube/ledger/tx"
)

// Block is a block in flight, or one that was committed. The pool retains Transactions
// while the block is in flight; they must not change.
type Block struct {
	Digest       [32]byte // of its header
	Transactions []*tx.Transaction
}

// InFlight says which blocks are in flight from now on: those that the slots of the
// present view name, and no others. Their transactions' slots are not offered again and
// do not age, whether their transactions wait here, arrive later, or lose to others with
// the same slot. What was in flight and is no more, and still waits, returns to where it
// was in its queues.
//
// The cost is that of the difference to the call before.
func (p *Pool) InFlight(now time.Duration, blocks []Block) {
	var ended []Block
	p.flights = slices.DeleteFunc(p.flights, func(f Block) bool {
		stays := slices.ContainsFunc(blocks, func(b Block) bool { return b.Digest == f.Digest })
		if !stays {
			ended = append(ended, f)
		}
		return !stays
	})
	began := 0
	for _, b := range blocks {
		if !slices.ContainsFunc(p.flights, func(f Block) bool { return f.Digest == b.Digest }) {
			p.flights = append(p.flights, b)
			p.depart(now, &b)
			began++
		}
	}
	if began == 0 && len(ended) == 0 {
		return
	}
	var back []*item
	for i := range ended {
		back = p.arrive(&ended[i], back)
	}
	p.link(now, back)
	p.retime(now)
}

// depart takes note of a block in flight.
func (p *Pool) depart(now time.Duration, b *Block) {
	for _, t := range b.Transactions {
		slot := SlotOf(t)
		if it := p.bySlot[slot]; it != nil {
			if it.blocks == 0 {
				it.unlink(now)
			}
			it.blocks++
		} else {
			p.absent[slot]++
		}
		if r := p.enter(t); r != nil {
			r.inFlight++
		}
	}
}

// arrive takes note that a block is in flight no more. It appends to back what waits and
// is in no other one.
func (p *Pool) arrive(b *Block, back []*item) []*item {
	for _, t := range b.Transactions {
		slot := SlotOf(t)
		if it := p.bySlot[slot]; it != nil {
			if it.blocks--; it.blocks == 0 {
				back = append(back, it)
			}
		} else if n := p.absent[slot]; n > 1 {
			p.absent[slot] = n - 1
		} else {
			delete(p.absent, slot)
		}
		if r := p.enter(t); r != nil {
			r.inFlight--
			p.leave(t, r)
		}
	}
	return back
}

// retime has every front's clock know whether its key is in flight.
func (p *Pool) retime(now time.Duration) {
	for _, q := range p.queues {
		q.retime(now)
	}
}

// Committed removes what a committed block decides, and says its sequence number. The
// block's transactions leave, waiting here or not, and are duplicates for a while. Those
// that have lost their slot to one of them leave too, and are returned: their clients
// may be told that the nonce is used. The block is in flight no more.
func (p *Pool) Committed(now time.Duration, seq uint64, b Block) (lost []*tx.Transaction) {
	// To end the flight first, by itself, would put everything back into the lists, only
	// for it to be taken out again.
	if at := slices.IndexFunc(p.flights, func(f Block) bool { return f.Digest == b.Digest }); at >= 0 {
		f := p.flights[at]
		p.flights = slices.Delete(p.flights, at, at+1)
		p.arrive(&f, nil)
	}
	p.committed = seq
	for _, t := range b.Transactions {
		id := t.ID()
		p.recent.put(id)
		if it := p.bySlot[SlotOf(t)]; it != nil {
			if it.t.ID() != id {
				lost = append(lost, it.t)
			}
			p.remove(now, it)
		}
		if key := keyOf(t.Op); key != "" && p.races[key] != nil {
			p.races[key].decided = seq
		}
	}
	p.retime(now)
	return lost
}
