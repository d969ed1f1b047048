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
	txs     map[follow.Ticket]handed
	asks    map[follow.AskID]AskID
	open    map[AskID]follow.AskID
	judged  time.Duration
	judging bool
}

// handed is a transaction that is handed over. What validators were passed on before may be
// committed, whatever becomes of its being handed over.
type handed struct {
	*tx.Transaction

	passedOn bool
}

// handJudgeEvery is how often it is looked at whether transactions on their way are still
// valid.
const handJudgeEvery = time.Second

func newHand(cfg *Config) hand {
	return hand{
		over: follow.HandOver{Fanout: cfg.Fanout}, txs: map[follow.Ticket]handed{},
		asks: map[follow.AskID]AskID{}, open: map[AskID]follow.AskID{},
	}
}

// submit begins to hand a transaction over. Once is enough: one that has come with its
// client and is being verified may be in the pool already, through another validator, and
// be given up with it.
func (h *hand) submit(d *Driver, ticket intake.Ticket, t handed) {
	if _, open := h.txs[follow.Ticket(ticket)]; open {
		return
	}
	h.txs[follow.Ticket(ticket)] = t
	h.do(d, h.over.Submit(d.now.Mono, follow.Ticket(ticket), follow.TxID(t.ID()), t.Raw()))
}

func (h *hand) withdraw(d *Driver, ticket intake.Ticket) {
	if _, open := h.txs[follow.Ticket(ticket)]; open {
		delete(h.txs, follow.Ticket(ticket))
		h.do(d, h.over.Withdraw(d.now.Mono, follow.Ticket(ticket)))
	}
}

// recall takes back what is being handed over, for this peer is closest to the validators
// now: it is one.
func (h *hand) recall(d *Driver) {
	for _, ticket := range h.over.Tickets() {
		t, open := h.txs[ticket]
		h.withdraw(d, intake.Ticket(ticket))
		if open {
			d.pool(intake.Ticket(ticket), t.Transaction)
		}
	}
}

// giveUpPool hands over what this peer's clients wait for in its pool, once it has no part
// any more in ordering it: it was removed from the validators, or has stopped voting. The
// others were passed it on when it came; but where they have lost it, or it them, nobody
// would order it before it expires. What others have passed on they have themselves.
func (d *Driver) giveUpPool() {
	m := &d.market
	if m.pool.Len() == 0 || (d.member() && d.stand.halted == "") {
		return
	}
	left := m.pool.SetOrigins(d.now.Mono, nil)
	m.origins = nil
	for _, t := range left {
		for _, ticket := range m.tickets.Of(t.ID()) {
			d.hand.submit(d, ticket, handed{Transaction: t, passedOn: true})
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
		ts[i] = h.txs[ticket].Transaction
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
			t, open := h.txs[ticket]
			if r := judged.Rejections[i]; r != nil && open && !d.chain.committing(t.ID()) {
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
	t, open := h.txs[a.Ticket]
	delete(h.txs, a.Ticket)
	if !open {
		return
	}
	err := fmt.Errorf("transaction %v: %w", t.ID(), ErrUndecided)
	switch {
	case a.Outcome == follow.Included:
		return
	case a.Outcome == follow.Rejected:
		err = a.Reason
	case a.Outcome == follow.Undecided, t.passedOn:
	case a.Outcome == follow.Overloaded:
		err = tx.Reject(tx.CodeQueueFull, "this peer hands %d transactions over already", follow.HandOvers)
	case a.Reason != nil:
		err = tx.Reject(tx.CodeUnavailable, "no peer took the transaction: %v", a.Reason)
	default:
		err = tx.Reject(tx.CodeUnavailable, "no peer of the ledger is connected")
	}
	if code, ok := tx.CodeOf(err); ok {
		d.notice(TxRejected{code})
	}
	d.refuseTicket(intake.Ticket(a.Ticket), err)
}
