package driver

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

const (
	// renewPause is how long a validator without its log waits after the first renewal that
	// failed. Each one more has it wait twice as long, up to maxRenewPause: the state gives
	// a validator few of them.
	renewPause    = 2 * time.Second
	maxRenewPause = 5 * time.Minute
	// renewPatience is how long a renewal is waited for before it is handed in again.
	renewPatience = 10 * time.Second
	// maxRenewals is how many renewals are remembered that may still be committed.
	maxRenewals = 16
	// ownTicket is set in the tickets of this peer's own transactions.
	ownTicket intake.Ticket = 1 << 63
)

// renewal takes the place of a validator anew that has lost its log: by a transaction of
// its own that ends the epoch. It was made after the loss, so that nothing which this
// replica has forgotten is of the epoch that follows.
type renewal struct {
	done    uint64  // the block that has a renewal, 0 before
	ids     []tx.ID // of those that count, the latest first
	pending *tx.Transaction
	next    time.Duration // when something is to be done
	pause   time.Duration
	ticket  intake.Ticket // 0 unless one is handed in
	peeking bool
	tickets intake.Ticket // so many were used
}

func newRenewal(from *Recovered, now Instant) renewal {
	r := renewal{done: from.Renewed, next: now.Mono + renewPause, pause: renewPause}
	for _, logged := range slices.Backward(from.Renewals) {
		r.ids = append(r.ids, logged.ID)
	}
	r.ids = r.ids[:min(len(r.ids), maxRenewals)]
	return r
}

// recall goes on with the last renewal of the log, which may be on its way still: another
// one would be committed beside it, and there are few.
func (r *renewal) recall(d *Driver, from *Recovered) {
	n := len(from.Renewals)
	if n == 0 || !from.Lost || from.Renewed > 0 {
		return
	}
	last := &from.Renewals[n-1]
	t, err := r.sign(d, last.Salt, last.Nonce)
	if err == nil && t.ID() == last.ID {
		r.pending = t
	}
}

// sign makes the transaction of a renewal.
func (r *renewal) sign(d *Driver, salt [16]byte, nonce uint64) (*tx.Transaction, error) {
	return tx.Sign(d.cfg.Key, d.cfg.Genesis.ID(), nonce, tx.ValidatorAdd{Key: d.self, Replaces: d.self, Salt: salt})
}

// void has no renewal count that was made so far: the loss is a later one.
func (r *renewal) void() { r.done, r.ids, r.pending = 0, nil, nil }

// renewPlace goes on with taking the place anew, if that is needed.
func (d *Driver) renewPlace() {
	r := &d.renew
	if !d.stand.lost || !d.stand.able || r.done > 0 || d.stand.halted != "" {
		return
	}
	// What is signed on an old state is void at once. That this peer has all there is,
	// certified heads show, on an idle ledger as well as on a busy one. A peer that hears
	// of none asks all the same.
	if d.sync.follower.AtHead() && r.tickets == 0 && !r.peeking {
		r.next = min(r.next, d.now.Mono)
	}
	if d.now.Mono < r.next {
		d.wake(r.next)
		return
	}
	switch {
	case d.voter == nil || r.peeking:
		r.next = d.now.Mono + renewPause // a place that it does not have
		d.wake(r.next)
	case r.pending == nil:
		r.peeking = true
		installs := d.chain.installs
		d.do(Peek{On: &d.chain.head.Tip, Owner: d.self, Job: d.jobs.add(func(e Event) {
			r.peeking = false
			peeked, _ := e.(Peeked)
			if peeked.Err != nil {
				d.unread(installs, peeked.Err)
				return
			}
			r.make(d, peeked.Nonce)
		})})
		r.next = d.now.Mono + renewPatience
	default:
		r.submit(d)
	}
}

// make makes a renewal like no other. Signatures are deterministic and a replica that has
// lost its disk uses its nonces again, so that without the salt it could be the very
// transaction that it made after an earlier loss: by then, this replica may have voted in
// the epoch that follows that one, and forgotten it.
//
// Its nonce is one from the middle of those that can be used: this peer's own clients take
// the first of them, one after the other, and would be faster each time.
func (r *renewal) make(d *Driver, nonce uint64) {
	if half := d.chain.head.Params.NonceWindow / 2; half > 0 {
		nonce += half + d.chance.Uint64()%half
	}
	var salt [16]byte
	binary.LittleEndian.PutUint64(salt[:8], d.chance.Uint64())
	binary.LittleEndian.PutUint64(salt[8:], d.chance.Uint64())
	t, err := r.sign(d, salt, nonce)
	if err != nil {
		d.notice(Odd{What: "this validator's place cannot be taken anew", Err: err})
		r.failed(d)
		return
	}
	r.pending = t
	r.ids = append([]tx.ID{t.ID()}, r.ids[:min(len(r.ids), maxRenewals-1)]...)
	// It is in the log before it leaves: after a restart it counts as well, and is handed
	// in again.
	d.log([]codec.LogRecord{codec.Renewal{Salt: salt, Nonce: nonce, ID: t.ID()}}, true)
	d.leave(func() { r.submit(d) })
}

// submit hands the renewal in, which may have been handed in before.
func (r *renewal) submit(d *Driver) {
	if r.pending == nil {
		return
	}
	if r.ticket != 0 {
		d.market.tickets.Withdraw(r.ticket)
	}
	r.tickets++
	r.ticket, r.next = ownTicket|r.tickets, d.now.Mono+renewPatience
	d.submitted(&Submitted{Ticket: r.ticket, Tx: r.pending, From: intake.Local(), Known: true})
}

// answered takes what became of a renewal. An attempt that nobody waits for any more is
// committed all the same, so that what counts is whether one has been.
func (r *renewal) answered(d *Driver, a intake.Answer) {
	if a.Ticket != r.ticket {
		return
	}
	r.ticket = 0
	switch code, rejected := tx.CodeOf(a.Err); {
	case a.Err == nil || !rejected:
	case code == tx.CodeNonceUsed: // it costs nothing to try another one
		r.pending, r.next = nil, d.now.Mono+tick
	default:
		d.notice(Odd{What: "taking this validator's place anew; trying again", Err: a.Err})
		r.failed(d)
	}
}

// failed has another one be made after a while.
func (r *renewal) failed(d *Driver) {
	r.pending = nil
	r.next, r.pause = d.now.Mono+r.pause, min(2*r.pause, maxRenewPause)
}

// seated is told how this peer came to its place, by a state that has taken the place of
// blocks which it never saw. A renewal of its own may be in one of them: it would make
// another one, and there are few.
func (r *renewal) seated(s Seat) {
	if slices.Contains(r.ids, s.By) {
		r.done = s.Since
	}
}

// committed is told of the transactions of each block before anybody else is: the epoch
// after the renewal's may begin at once. Only renewals that the log has count: they are
// younger than the loss.
func (r *renewal) committed(seq uint64, ids []tx.ID) {
	for _, id := range r.ids {
		if slices.Contains(ids, id) {
			r.done = seq
		}
	}
}
