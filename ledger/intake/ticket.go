package intake

import (
	"slices"

	"github.com/decube/decube/ledger/tx"
)

// Ticket names a call that waits for a transaction's outcome. Callers choose them, and
// use none twice.
type Ticket uint64

// Outcome is what became of a transaction: it was committed, or was refused.
type Outcome struct {
	Block uint64 // sequence number of the block that has it
	Index int    // in the block
	Time  int64  // of the block, Unix milliseconds
	Err   error  // a *[tx.Rejection] when the transaction was refused
}

// Answer is what a call is told.
type Answer struct {
	Ticket Ticket
	Outcome
}

const (
	// MaxTickets is how many calls of one class wait at most; one takes about 200 bytes.
	MaxTickets = 32_768
	// maxSame is how many wait for the same transaction at most.
	maxSame = 64
)

// Tickets are the calls that wait. Only their number is held here: what they have handed
// in counts in the gate until it is verified, and in the pool from then on.
type Tickets struct {
	byTicket map[Ticket]call
	byID     map[tx.ID][]Ticket
	count    [3]int // by class
}

type call struct {
	id    tx.ID
	class Class
}

// NewTickets returns no tickets.
func NewTickets() *Tickets {
	return &Tickets{byTicket: make(map[Ticket]call), byID: make(map[tx.ID][]Ticket)}
}

// Open has a ticket wait for a transaction, and returns a *[tx.Rejection], queue_full, if
// too many of the class do, or the ticket does already.
func (s *Tickets) Open(ticket Ticket, class Class, id tx.ID) error {
	if _, used := s.byTicket[ticket]; used {
		return tx.Reject(tx.CodeQueueFull, "ticket %d waits already", ticket)
	}
	if s.count[class] >= MaxTickets || len(s.byID[id]) >= maxSame {
		return tx.Reject(tx.CodeQueueFull, "too many calls wait for their transactions")
	}
	s.count[class]++
	s.byTicket[ticket] = call{id: id, class: class}
	s.byID[id] = append(s.byID[id], ticket)
	return nil
}

// Withdraw has a ticket wait no more. Its transaction stays where it is, and may be
// committed all the same.
func (s *Tickets) Withdraw(ticket Ticket) {
	c, ok := s.byTicket[ticket]
	if !ok {
		return
	}
	s.close(ticket, c)
	rest := slices.DeleteFunc(s.byID[c.id], func(other Ticket) bool { return other == ticket })
	if len(rest) == 0 {
		delete(s.byID, c.id)
	} else {
		s.byID[c.id] = rest
	}
}

// Refuse answers one ticket, whose transaction did not get in, and returns false when it
// waits no more.
func (s *Tickets) Refuse(ticket Ticket, err error) (Answer, bool) {
	if _, ok := s.byTicket[ticket]; !ok {
		return Answer{}, false
	}
	s.Withdraw(ticket)
	return Answer{Ticket: ticket, Outcome: Outcome{Err: err}}, true
}

// Of returns the tickets that wait for a transaction, in the order in which they came.
// They are the caller's.
func (s *Tickets) Of(id tx.ID) []Ticket { return slices.Clone(s.byID[id]) }

// Resolve returns the answers of those who wait for a transaction, in the order in which
// they came, and has them wait no more.
func (s *Tickets) Resolve(id tx.ID, o Outcome) []Answer {
	return s.resolve(nil, id, o)
}

// Committed is [Tickets.Resolve] for the transactions of a block.
func (s *Tickets) Committed(block uint64, time int64, ids []tx.ID) []Answer {
	var answers []Answer
	for i := range ids {
		if len(s.byID) == 0 {
			break
		}
		answers = s.resolve(answers, ids[i], Outcome{Block: block, Index: i, Time: time})
	}
	return answers
}

func (s *Tickets) resolve(answers []Answer, id tx.ID, o Outcome) []Answer {
	for _, ticket := range s.byID[id] {
		s.close(ticket, s.byTicket[ticket])
		answers = append(answers, Answer{Ticket: ticket, Outcome: o})
	}
	delete(s.byID, id)
	return answers
}

func (s *Tickets) close(ticket Ticket, c call) {
	s.count[c.class]--
	delete(s.byTicket, ticket)
}

// Len returns how many tickets wait.
func (s *Tickets) Len() int { return len(s.byTicket) }
