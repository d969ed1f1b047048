package follow

import (
	"cmp"
	"slices"
	"time"
)

// Bounds of handing transactions over.
const (
	// HandOvers and HandOverBytes bound the transactions that are on their way.
	HandOvers     = 256
	HandOverBytes = 8 << 20
	// Fanout is how many sources have one transaction at a time, unless the HandOver says
	// otherwise.
	Fanout = 3
	// PerSource is how many transactions one source has at a time: one that answers
	// nothing holds no more than that up.
	PerSource = 12
	// FirstResend is how long the first source has until the transaction is seen in a
	// block; each further one has twice as long, up to LastResend.
	FirstResend = time.Second
	LastResend  = 30 * time.Second
	// HandOverExpiry is how long a transaction is handed over at all.
	HandOverExpiry = time.Minute
)

// Ticket names a client's wish that a transaction be committed. Its owner chooses it,
// and uses none twice.
type Ticket uint64

// TxID names a transaction.
type TxID [32]byte

// Reply is what a source says about a transaction. None of it is believed: OK alone
// makes no transaction committed.
type Reply uint8

const (
	// ReplyOK says that the transaction is committed, or on its way.
	ReplyOK Reply = iota
	// ReplyRejected says that it never can be.
	ReplyRejected
	// ReplyFailed says that the source could not take it.
	ReplyFailed
)

// Outcome is what became of a transaction that was handed over.
type Outcome uint8

const (
	// Included says that it was seen in a verified block.
	Included Outcome = iota
	// Rejected says that each source that could be asked has rejected it, and none has
	// said anything else; or that Refuse was called.
	Rejected
	// Undecided says that it was not seen in time, and may still be committed.
	Undecided
	// Unavailable says that there is no source, or that none was able to take it.
	Unavailable
	// Overloaded says that too many are on their way already.
	Overloaded
)

// Answer tells what became of a transaction. Reason is what the last source that
// rejected it gave as reason.
type Answer struct {
	Ticket  Ticket
	Outcome Outcome
	Reason  error // or, for Unavailable, why the last one could not take it
}

func (Answer) action() {}

// Submit is the request to commit a transaction.
type Submit struct{ Raw []byte }

func (Submit) request() {}

// HandOver hands the transactions of a follower's clients to peers that are closer to
// the validators. One source has each at first. While it is not seen in a verified
// block, others get it too: a source that says OK and drops it costs a second. Like a
// Follower it is a value of one goroutine and knows no clock.
type HandOver struct {
	// Fanout is how many sources have one transaction at a time; 0 means Fanout.
	Fanout int

	now     time.Duration
	out     []Action
	lastAsk AskID
	names   []string
	entries []*entry // in the order in which they came
	bytes   int
}

// entry is a transaction on its way.
type entry struct {
	ticket   Ticket
	id       TxID
	raw      []byte
	since    time.Duration
	resend   time.Duration // when the next source gets it
	sent     int           // how many have been given it, in all rounds
	asks     []handAsk
	tried    []string
	accepted bool // somebody has said something else than that it cannot be
	rejected error
	failed   error
}

type handAsk struct {
	id   AskID
	name string
}

// Step does what is due at now.
func (h *HandOver) Step(now time.Duration) []Action {
	h.now, h.out = max(h.now, now), nil
	h.plan()
	return h.out
}

// Submit hands a transaction over. The raw bytes are not changed and not copied.
func (h *HandOver) Submit(now time.Duration, ticket Ticket, id TxID, raw []byte) []Action {
	h.now, h.out = max(h.now, now), nil
	if len(h.entries) >= HandOvers || h.bytes+len(raw) > HandOverBytes {
		h.out = append(h.out, Answer{Ticket: ticket, Outcome: Overloaded})
		return h.out
	}
	h.bytes += len(raw)
	h.entries = append(h.entries, &entry{ticket: ticket, id: id, raw: raw, since: h.now, resend: h.now})
	h.plan()
	return h.out
}

// Withdraw ends a hand-over whose client has left. There is no answer.
func (h *HandOver) Withdraw(now time.Duration, ticket Ticket) []Action {
	h.now, h.out = max(h.now, now), nil
	for _, e := range h.entries {
		if e.ticket == ticket {
			h.end(e)
			break
		}
	}
	h.plan()
	return h.out
}

// Refuse ends a hand-over that this peer's own last block makes void: its nonce was
// used by another transaction, say. That is no source's word.
func (h *HandOver) Refuse(now time.Duration, ticket Ticket, reason error) []Action {
	h.now, h.out = max(h.now, now), nil
	for _, e := range h.entries {
		if e.ticket == ticket {
			e.rejected = reason
			h.answer(e, Rejected)
			break
		}
	}
	h.plan()
	return h.out
}

// Sources lists who can be given transactions, those that are closest first. One who was
// not listed before is given at once what nobody has.
func (h *HandOver) Sources(now time.Duration, names []string) []Action {
	h.now, h.out = max(h.now, now), nil
	for _, e := range h.entries {
		if len(e.asks) == 0 && h.haveOther(names) {
			e.resend = h.now
		}
	}
	h.names = append([]string(nil), names[:min(len(names), MaxSources)]...)
	h.plan()
	return h.out
}

// haveOther reports whether a name is among some and not among those that are listed.
func (h *HandOver) haveOther(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(h.names, name) })
}

// Seen takes note of the transactions of a verified block.
func (h *HandOver) Seen(now time.Duration, ids []TxID) []Action {
	h.now, h.out = max(h.now, now), nil
	if len(h.entries) > 0 {
		in := make(map[TxID]bool, len(ids))
		for _, id := range ids {
			in[id] = true
		}
		for _, e := range append([]*entry(nil), h.entries...) {
			if in[e.id] {
				h.answer(e, Included)
			}
		}
	}
	h.plan()
	return h.out
}

// Replied takes note of what a source says.
func (h *HandOver) Replied(now time.Duration, ask AskID, reply Reply, reason error) []Action {
	h.now, h.out = max(h.now, now), nil
	for _, e := range h.entries {
		for i, a := range e.asks {
			if a.id != ask {
				continue
			}
			e.asks = append(e.asks[:i:i], e.asks[i+1:]...)
			switch reply {
			case ReplyOK:
				e.accepted = true
			case ReplyRejected:
				// It is one peer's word. The next one is asked at once: of two honest ones
				// both say it.
				e.rejected, e.resend = reason, h.now
			case ReplyFailed:
				e.failed, e.resend = reason, h.now
			}
			h.plan()
			return h.out
		}
	}
	return h.out
}

// Deadline returns when Step is to be called at the latest if nothing happens before.
func (h *HandOver) Deadline() time.Duration {
	next := h.now + time.Hour
	for _, e := range h.entries {
		next = min(next, max(e.resend, h.now+Look), e.since+HandOverExpiry)
	}
	return next
}

// Tickets returns what is on its way, in the order in which it came.
func (h *HandOver) Tickets() []Ticket {
	out := make([]Ticket, len(h.entries))
	for i, e := range h.entries {
		out[i] = e.ticket
	}
	return out
}

// Len returns how many transactions are on their way.
func (h *HandOver) Len() int { return len(h.entries) }

// Bytes returns how many bytes of transactions are on their way.
func (h *HandOver) Bytes() int { return h.bytes }

// plan gives each transaction whose time has come to one more source.
func (h *HandOver) plan() {
	for _, e := range append([]*entry(nil), h.entries...) {
		switch {
		case h.now-e.since >= HandOverExpiry:
			h.expire(e)
		case h.now >= e.resend:
			h.resend(e)
		}
	}
}

// expire ends what was not seen in time.
func (h *HandOver) expire(e *entry) {
	if e.sent == 0 {
		h.answer(e, Unavailable)
		return
	}
	h.answer(e, Undecided)
}

// resend gives a transaction to the next source that has not had it in this round.
func (h *HandOver) resend(e *entry) {
	name, full := h.next(e)
	switch {
	case name == "" && full:
		e.resend = h.now + Look
		return
	case name == "":
		h.exhausted(e)
		return
	}
	if len(e.asks) >= cmp.Or(h.Fanout, Fanout) {
		// The oldest has had it longest: what it could do, it has done.
		h.out = append(h.out, Stop{e.asks[0].id})
		e.asks = e.asks[1:]
	}
	h.lastAsk++
	e.asks = append(e.asks, handAsk{h.lastAsk, name})
	e.tried = append(e.tried, name)
	h.out = append(h.out, Ask{Ask: h.lastAsk, Source: name, Request: Submit{e.raw}})
	e.resend = h.now + resendAfter(e.sent)
	e.sent++
}

func resendAfter(sent int) time.Duration { return doubled(FirstResend, sent, LastResend) }

// next returns the first source that has not had a transaction in this round and has
// room, and whether one has none.
func (h *HandOver) next(e *entry) (name string, full bool) {
	for _, name := range h.names {
		switch {
		case slices.Contains(e.tried, name):
		case h.serving(name) >= PerSource:
			full = true
		default:
			return name, false
		}
	}
	return "", full
}

// serving returns how many transactions a source has.
func (h *HandOver) serving(name string) int {
	n := 0
	for _, e := range h.entries {
		for _, a := range e.asks {
			if a.name == name {
				n++
			}
		}
	}
	return n
}

// exhausted deals with a transaction that all sources have had.
func (h *HandOver) exhausted(e *entry) {
	if len(e.asks) == 0 && !e.accepted {
		switch {
		case e.rejected != nil:
			h.answer(e, Rejected)
			return
		case h.now-e.since >= Destitute:
			h.answer(e, Unavailable)
			return
		}
	}
	// Another round: the sources may be others by then, and validators forget what
	// waits for long.
	e.tried = nil
	for _, a := range e.asks {
		e.tried = append(e.tried, a.name)
	}
	e.resend = h.now + resendAfter(e.sent)
}

func (h *HandOver) answer(e *entry, o Outcome) {
	reason := e.rejected
	if o == Unavailable {
		reason = e.failed
	}
	h.out = append(h.out, Answer{Ticket: e.ticket, Outcome: o, Reason: reason})
	h.end(e)
}

// end forgets a transaction.
func (h *HandOver) end(e *entry) {
	for _, a := range e.asks {
		h.out = append(h.out, Stop{a.id})
	}
	for i, x := range h.entries {
		if x == e {
			h.entries = append(h.entries[:i:i], h.entries[i+1:]...)
			h.bytes -= len(e.raw)
			return
		}
	}
}
