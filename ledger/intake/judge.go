package intake

import (
	"time"

	"github.com/decube/decube/ledger/tx"
)

const (
	// Fresh is how long a verdict counts.
	Fresh = time.Second
	// judgeAgain is how old a front's verdict is when the next one is asked for: a
	// quarter, so that one which is late does not stop a clock.
	judgeAgain = Fresh / 4
	// maxLook is how many of one queue are judged at a time at most.
	maxLook = 256
)

// verdict is what is known about whether a transaction is valid.
type verdict struct {
	valid bool
	at    time.Duration // when it was found
	from  time.Duration // Fresh before the first of the verdicts that found it valid without a gap
	seq   uint64        // the block on whose state it was found
}

// Verdict is whether a transaction is valid on a state: Err is nil when it is, and a
// *[tx.Rejection] when it is not. With any other error it is no verdict.
type Verdict struct {
	ID  tx.ID
	Err error
}

// ToJudge returns at most so many transactions whose validity the pool needs to know
// now: fronts first, and what is behind a front that turned out to be junk. The caller
// finds out on the state after the last committed block whether each is valid there by
// itself, and calls [Pool.Judged]. None is given out again within a quarter of [Fresh].
func (p *Pool) ToJudge(now time.Duration, budget int) []*tx.Transaction {
	var ts []*tx.Transaction
	// All fronts come before what is behind any of them: an origin full of junk does
	// not keep the others' fronts from being judged.
	for _, q := range p.queues {
		if q.head != nil {
			ts = p.ask(now, ts, budget, q.head.it)
		}
	}
	for _, q := range p.queues {
		if q.head == nil {
			continue
		}
		at := q.head.next
		for i := 1; i < q.look && at != nil; i++ {
			ts = p.ask(now, ts, budget, at.it)
			at = at.next
		}
	}
	return ts
}

// ask appends a transaction that is to be judged now.
func (p *Pool) ask(now time.Duration, ts []*tx.Transaction, budget int, it *item) []*tx.Transaction {
	if len(ts) >= budget || now < it.again {
		return ts
	}
	it.again, it.early = now+judgeAgain, p.early(it)
	return append(ts, it.t)
}

// decided reports whether the verdict is of a state after everything that was committed
// about the transaction's key.
func (it *item) decided() bool { return it.race == nil || it.verdict.seq >= it.race.decided }

// early reports whether a transaction may be invalid only because the owner's
// transaction before it is not committed yet.
func (p *Pool) early(it *item) bool {
	before, ok := SlotOf(it.t).before()
	if !ok {
		return false
	}
	if other := p.bySlot[before]; other != nil {
		return true
	}
	return p.absent[before] > 0
}

// Judged gives the verdicts that were found on the state after the block of a sequence
// number. What is not valid leaves, and is returned with why; only what the owner's
// transaction before it may still make valid, or more room in the ledger, goes to the end
// of its queues instead.
func (p *Pool) Judged(now time.Duration, seq uint64, verdicts []Verdict) (invalid []Verdict) {
	for _, v := range verdicts {
		it := p.byID[v.ID]
		if it == nil {
			continue
		}
		code, final := tx.CodeOf(v.Err)
		switch {
		case !final || it.blocks > 0 || seq < it.after || it.race != nil && seq < it.race.decided:
			// The state after what is being decided, or was meanwhile, will tell. Nor does
			// a verdict count that was found before the transaction left and came again.
		case code == tx.CodeOK:
			p.confirm(now, seq, it)
		case code == tx.CodeGrowth, code != tx.CodeNonceUsed && (it.early || p.early(it)):
			p.postpone(now, it)
		default:
			p.doubt(it)
			p.remove(now, it)
			invalid = append(invalid, v)
		}
	}
	return invalid
}

// confirm takes note that a transaction is valid.
func (p *Pool) confirm(now time.Duration, seq uint64, it *item) {
	from := it.verdict.from
	if !it.verdict.valid || now-it.verdict.at > Fresh {
		from = now - Fresh
	}
	it.verdict, it.again = verdict{valid: true, at: now, from: from, seq: seq}, now+judgeAgain
	for pl := it.places; pl != nil; pl = pl.other {
		if pl.q.head == pl {
			pl.q.validAt, pl.q.look = now, 1
		}
	}
}

// doubt takes note that a transaction is not valid: what is behind it as a front may be
// no better, and is judged in larger numbers, so that junk does not hide for long what
// comes after it.
func (p *Pool) doubt(it *item) {
	for pl := it.places; pl != nil; pl = pl.other {
		if pl.q.head == pl {
			pl.q.validAt = never
			pl.q.look = min(2*pl.q.look, maxLook)
		}
	}
}

// postpone moves a transaction to the end of its queues.
func (p *Pool) postpone(now time.Duration, it *item) {
	p.doubt(it)
	it.verdict, it.again = verdict{at: never}, now+judgeAgain
	for pl := it.places; pl != nil; pl = pl.other {
		p.rotate(now, pl)
	}
}

// Oldest returns for how long the longest waiting front has been one, without the times
// in which something in flight could have made it invalid, and 0 when there is none that
// was found valid less than [Fresh] ago. What was not known to be valid for longer counts
// from at most Fresh before it was found to be.
func (p *Pool) Oldest(now time.Duration) time.Duration {
	var oldest time.Duration
	for _, q := range p.queues {
		if q.head == nil || q.paused {
			continue
		}
		it := q.head.it
		v := &it.verdict
		if !v.valid || !it.decided() || now-v.at >= Fresh {
			continue
		}
		oldest = max(oldest, min(q.waited(now), now-v.from), 1)
	}
	return oldest
}

// Waiting returns how many transactions wait that an honest leader could order: those in
// no block in flight, of origins a front of whose was found valid less than [Fresh] ago
// and none invalid since. With what was committed in a period it is the least that there
// was to be ordered in it.
func (p *Pool) Waiting(now time.Duration) int {
	n := 0
	for _, q := range p.queues {
		if now-q.validAt < Fresh {
			n += q.ready
		}
	}
	return n
}
