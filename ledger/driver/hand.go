package driver

import (
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// hand hands the transactions of a follower's clients to peers that are closer to the
// validators.
type hand struct {
	over    follow.HandOver
	txs     map[follow.Ticket]*tx.Transaction
	asks    map[follow.AskID]AskID
	open    map[AskID]follow.AskID
	judged  time.Duration
	judging bool
}

// handJudgeEvery is how often it is looked at whether transactions on their way are still
// valid.
const handJudgeEvery = time.Second

func newHand(cfg *Config) hand {
	return hand{
		over: follow.HandOver{Fanout: cfg.Fanout}, txs: map[follow.Ticket]*tx.Transaction{},
		asks: map[follow.AskID]AskID{}, open: map[AskID]follow.AskID{},
	}
}

func (h *hand) submit(d *Driver, ticket intake.Ticket, t *tx.Transaction) {
	h.txs[follow.Ticket(ticket)] = t
	h.do(d, h.over.Submit(d.now.Mono, follow.Ticket(ticket), follow.TxID(t.ID()), t.Raw()))
}

func (h *hand) withdraw(d *Driver, ticket intake.Ticket) {
	if h.txs[follow.Ticket(ticket)] != nil {
		delete(h.txs, follow.Ticket(ticket))
		h.do(d, h.over.Withdraw(d.now.Mono, follow.Ticket(ticket)))
	}
}

// recall takes back what is being handed over, for this peer is closest to the validators
// now: it is one.
func (h *hand) recall(d *Driver) {
	for _, ticket := range h.over.Tickets() {
		t := h.txs[ticket]
		h.withdraw(d, intake.Ticket(ticket))
		if t != nil {
			d.pool(intake.Ticket(ticket), t)
		}
	}
}

// seen takes note of the transactions of a block.
func (d *Driver) seen(ids []tx.ID) {
	h := &d.hand
	if h.over.Len() == 0 {
		return
	}
	out := make([]follow.TxID, len(ids))
	for i, id := range ids {
		out[i] = follow.TxID(id)
	}
	h.do(d, h.over.Seen(d.now.Mono, out))
}

// handOver goes on handing over.
func (d *Driver) handOver() {
	h := &d.hand
	if h.over.Len() == 0 {
		return
	}
	if d.now.Mono >= h.over.Deadline() {
		h.do(d, h.over.Step(d.now.Mono))
	}
	h.judge(d)
	if h.over.Len() > 0 {
		d.wake(max(h.over.Deadline(), d.now.Mono+time.Millisecond))
	}
}

// judge refuses what this peer's own head makes void.
func (h *hand) judge(d *Driver) {
	if h.judging || d.now.Mono-h.judged < handJudgeEvery || h.over.Len() == 0 {
		return
	}
	h.judged, h.judging = d.now.Mono, true
	tickets := h.over.Tickets()
	ts := make([]*tx.Transaction, len(tickets))
	for i, ticket := range tickets {
		ts[i] = h.txs[ticket]
	}
	tip, installs := d.chain.head.Tip, d.chain.installs
	d.do(Judge{On: &tip, Txs: ts, Time: d.now.Wall, Job: d.jobs.add(func(e Event) {
		h.judging = false
		judged, _ := e.(Judged)
		if judged.Err != nil {
			d.unread(installs, judged.Err)
			return
		}
		for i, ticket := range tickets {
			if r, t := judged.Rejections[i], h.txs[ticket]; r != nil && t != nil && !d.chain.committing(t.ID()) {
				h.do(d, h.over.Refuse(d.now.Mono, ticket, r))
			}
		}
	})})
}

// ended takes what a source says about a transaction, and reports whether it was asked.
func (h *hand) ended(d *Driver, e *Ended) bool {
	ask, open := h.open[e.Ask]
	if !open {
		return false
	}
	delete(h.open, e.Ask)
	delete(h.asks, ask)
	said := follow.ReplyFailed
	var rejection *tx.Rejection
	switch {
	case errors.As(e.Err, &rejection):
		said = follow.ReplyRejected
	case errors.Is(e.Err, ErrUndecided), e.Err == nil && e.Why == follow.Complete:
		said = follow.ReplyOK
	}
	h.do(d, h.over.Replied(d.now.Mono, ask, said, e.Err))
	return true
}

func (h *hand) sources(d *Driver, names []string) { h.do(d, h.over.Sources(d.now.Mono, names)) }

func (h *hand) do(d *Driver, actions []follow.Action) {
	for _, action := range actions {
		switch a := action.(type) {
		case follow.Ask:
			id := d.sync.newAsk()
			h.asks[a.Ask], h.open[id] = id, a.Ask
			d.do(Ask{Ask: id, Source: a.Source, Request: a.Request})
		case follow.Stop:
			if id, ok := h.asks[a.Ask]; ok {
				delete(h.asks, a.Ask)
				delete(h.open, id)
				d.do(Stop{id})
			}
		case follow.Answer:
			h.answer(d, a)
		}
	}
}

// answer tells who waits what became of its transaction. Where it was committed, the block
// has told.
func (h *hand) answer(d *Driver, a follow.Answer) {
	t := h.txs[a.Ticket]
	delete(h.txs, a.Ticket)
	if t == nil {
		return
	}
	var err error
	switch a.Outcome {
	case follow.Included:
		return
	case follow.Rejected:
		err = a.Reason
	case follow.Undecided:
		err = fmt.Errorf("transaction %v: %w", t.ID(), ErrUndecided)
	case follow.Unavailable:
		err = tx.Reject(tx.CodeUnavailable, "no peer of the ledger is connected")
		if a.Reason != nil {
			err = tx.Reject(tx.CodeUnavailable, "no peer took the transaction: %v", a.Reason)
		}
	case follow.Overloaded:
		err = tx.Reject(tx.CodeQueueFull, "this peer hands %d transactions over already", follow.HandOvers)
	}
	if code, ok := tx.CodeOf(err); ok {
		d.notice(TxRejected{code})
	}
	d.refuseTicket(intake.Ticket(a.Ticket), err)
}
