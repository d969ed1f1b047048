package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/tx"
)

// desk hands the transactions of a follower's clients over: one loop around a
// follow.HandOver, and a goroutine for each source that has a transaction.
type desk struct {
	*Ledger
	in      *mailbox[*tx.Transaction]
	blocks  *mailbox[[]tx.ID] // of blocks that were committed while something was on its way
	waiting atomic.Int64      // transactions in the mailbox and at the hand-over
	replies chan reply

	// The loop's own.
	began   time.Time
	out     follow.HandOver
	tickets map[follow.Ticket]*tx.Transaction
	last    follow.Ticket
	sources map[string]Source
	asks    map[follow.AskID]context.CancelFunc
	work    sync.WaitGroup
}

// reply is what a source says about a transaction.
type reply struct {
	ask follow.AskID
	err error
}

func newDesk(l *Ledger) *desk {
	return &desk{
		Ledger: l, in: newMailbox[*tx.Transaction](), blocks: newMailbox[[]tx.ID](), replies: make(chan reply),
		began: time.Now(), out: follow.HandOver{Fanout: l.cfg.GossipFanout}, tickets: map[follow.Ticket]*tx.Transaction{},
		asks: map[follow.AskID]context.CancelFunc{},
	}
}

// judgeInterval is how often it is looked at whether transactions on their way are
// still wanted and valid.
const judgeInterval = time.Second

// submit hands a transaction over. Those who wait for it are told what becomes of it.
func (d *desk) submit(t *tx.Transaction) {
	d.waiting.Add(1)
	d.in.put(t)
}

// committed is told of the transactions of each block. It keeps ids.
func (d *desk) committed(ids []tx.ID) {
	if d.waiting.Load() > 0 {
		d.blocks.put(ids)
	}
}

// run hands over until ctx ends.
func (d *desk) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer d.work.Wait()
	defer cancel()
	judge := time.NewTicker(judgeInterval)
	defer judge.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(d.out.Deadline() - d.now())
		select {
		case <-ctx.Done():
			return nil
		case <-d.in.ready:
			d.list(ctx)
			for _, t := range d.in.take() {
				d.last++
				d.tickets[d.last] = t
				d.do(ctx, d.out.Submit(d.now(), d.last, follow.TxID(t.ID()), t.Raw()))
			}
		case <-d.blocks.ready:
			for _, ids := range d.blocks.take() {
				d.seen(ctx, ids)
			}
		case r := <-d.replies:
			d.replied(ctx, r)
		case <-judge.C:
			if d.out.Len() > 0 {
				d.list(ctx)
				d.judge(ctx)
			}
		case <-timer.C:
			d.do(ctx, d.out.Step(d.now()))
		}
	}
}

func (d *desk) now() time.Duration { return time.Since(d.began) }

// list says who can be given transactions now.
func (d *desk) list(ctx context.Context) {
	var names []string
	d.sources = map[string]Source{}
	if d.peers != nil {
		for _, s := range d.peers.Sources(follow.MaxSources) {
			names = append(names, s.Name())
			d.sources[s.Name()] = s
		}
	}
	d.do(ctx, d.out.Sources(d.now(), names))
}

func (d *desk) seen(ctx context.Context, ids []tx.ID) {
	out := make([]follow.TxID, len(ids))
	for i, id := range ids {
		out[i] = follow.TxID(id)
	}
	d.do(ctx, d.out.Seen(d.now(), out))
}

// judge withdraws what nobody waits for any more, and refuses what this peer's own
// head makes void.
func (d *desk) judge(ctx context.Context) {
	for _, ticket := range d.out.Tickets() {
		t := d.tickets[ticket]
		if t == nil {
			continue
		}
		if !d.waiters.wanted(t.ID()) {
			d.end(ticket)
			d.do(ctx, d.out.Withdraw(d.now(), ticket))
			continue
		}
		err := d.applies(t)
		if err == nil {
			continue
		}
		if _, missing := d.find(t.ID()); missing == nil {
			d.seen(ctx, []tx.ID{t.ID()}) // it is void because it is committed
			continue
		}
		d.do(ctx, d.out.Refuse(d.now(), ticket, err))
	}
}

// replied takes note of what a source says.
func (d *desk) replied(ctx context.Context, r reply) {
	if stop := d.asks[r.ask]; stop != nil {
		stop()
		delete(d.asks, r.ask)
	}
	said := follow.ReplyFailed
	var rejection *tx.Rejection
	switch {
	case r.err == nil, errors.Is(r.err, ErrUndecided):
		said = follow.ReplyOK
	case errors.As(r.err, &rejection):
		said = follow.ReplyRejected
	}
	d.do(ctx, d.out.Replied(d.now(), r.ask, said, r.err))
}

func (d *desk) do(ctx context.Context, actions []follow.Action) {
	for _, action := range actions {
		switch a := action.(type) {
		case follow.Ask:
			if r, ok := a.Request.(follow.Submit); ok {
				d.give(ctx, a, r.Raw)
			}
		case follow.Stop:
			if stop := d.asks[a.Ask]; stop != nil {
				stop()
				delete(d.asks, a.Ask)
			}
		case follow.Answer:
			d.answer(a)
		}
	}
}

// give gives a source a transaction.
func (d *desk) give(ctx context.Context, a follow.Ask, raw []byte) {
	ctx, stop := context.WithCancel(ctx)
	d.asks[a.Ask] = stop
	source := d.sources[a.Source]
	d.work.Go(func() {
		err := source.Submit(ctx, raw)
		select {
		case d.replies <- reply{a.Ask, err}:
		case <-ctx.Done():
		}
	})
}

// answer tells those who wait what became of their transaction. Where it was committed,
// the block has told them.
func (d *desk) answer(a follow.Answer) {
	t := d.tickets[a.Ticket]
	d.end(a.Ticket)
	if t == nil {
		return
	}
	id := t.ID()
	var err error
	switch a.Outcome {
	case follow.Included:
		return
	case follow.Rejected:
		err = a.Reason
		code, _ := tx.CodeOf(err)
		d.observer.Rejected(code)
	case follow.Undecided:
		err = fmt.Errorf("transaction %v: %w", id, ErrUndecided)
	case follow.Unavailable:
		err = tx.Reject(tx.CodeUnavailable, "no peer took the transaction: %v", a.Reason)
		if a.Reason == nil {
			err = tx.Reject(tx.CodeUnavailable, "no peer of the ledger is connected")
		}
	case follow.Overloaded:
		err = tx.Reject(tx.CodeQueueFull, "this peer hands %d transactions over already", follow.HandOvers)
	}
	d.waiters.tell(id, outcome{at: Committed{ID: id}, err: err})
}

// end forgets a ticket.
func (d *desk) end(ticket follow.Ticket) {
	if d.tickets[ticket] != nil {
		delete(d.tickets, ticket)
		d.waiting.Add(-1)
	}
}
