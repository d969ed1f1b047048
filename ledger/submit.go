package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// callers are the calls that wait for a transaction's outcome.
type callers struct {
	moved *broadcast // another head, or another role

	mu       sync.Mutex
	last     intake.Ticket
	byTicket map[intake.Ticket]chan intake.Outcome
}

func newCallers() callers {
	return callers{moved: newBroadcast(), byTicket: map[intake.Ticket]chan intake.Outcome{}}
}

// add returns a new ticket and where its outcome will be.
func (c *callers) add() (intake.Ticket, <-chan intake.Outcome) {
	ch := make(chan intake.Outcome, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.byTicket[c.last] = ch
	return c.last, ch
}

// remove forgets a ticket, and reports whether it was still waiting.
func (c *callers) remove(t intake.Ticket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, waited := c.byTicket[t]
	delete(c.byTicket, t)
	return waited
}

func (c *callers) answer(a driver.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.byTicket[a.Ticket]; ch != nil {
		ch <- a.Outcome // it has room for the one that comes
		delete(c.byTicket, a.Ticket)
	}
}

var errStopping = errors.New("this peer is stopping")

// Submit implements API. At a validator the transaction goes to all validators at
// once; at a follower, to one of its peers after another until it is seen in a block.
// Whoever calls is trusted as this machine's own programs are, and has no budget: the
// HTTP API takes who has its token, over loopback alone.
func (l *Ledger) Submit(ctx context.Context, t *tx.Transaction) (Committed, error) {
	return l.submit(ctx, intake.Local(), t)
}

// submit hands a transaction in that came from somewhere, and waits.
func (l *Ledger) submit(ctx context.Context, from intake.Source, t *tx.Transaction) (Committed, error) {
	id := t.ID()
	undecided := func(why error) (Committed, error) {
		return Committed{ID: id}, fmt.Errorf("transaction %v: %w: %w", id, ErrUndecided, why)
	}
	ticket, outcome := l.callers.add()
	defer func() {
		if l.callers.remove(ticket) {
			l.inbox.put(driver.Withdrawn{Ticket: ticket})
		}
	}()
	if !l.inbox.call(ctx, driver.Submitted{Ticket: ticket, Tx: t, From: from, Known: l.knows(t.Owner)}, l.closing.begun) {
		if err := ctx.Err(); err != nil {
			return undecided(err)
		}
		return undecided(errStopping)
	}
	select {
	case o := <-outcome:
		if o.Err != nil {
			return l.refused(id, o.Err)
		}
		return Committed{ID: id, Block: o.Block, Index: o.Index, Time: time.UnixMilli(o.Time).UTC()}, nil
	case <-ctx.Done():
		return undecided(ctx.Err())
	case <-l.closing.begun:
		return undecided(errStopping)
	}
}

// acquaintance is for how long an owner must have had an entry to count as known.
const acquaintance = 24 * time.Hour

// knows reports whether the ledger has known an owner for long. Where the state cannot be
// read, nobody is known: reading it fails for whoever executes, too.
func (l *Ledger) knows(owner sig.PublicKey) bool {
	since, ok, err := l.view.Load().Head.State.Known(owner)
	return err == nil && ok && time.Now().UnixMilli()-since >= acquaintance.Milliseconds()
}

// refused returns what a refused transaction's client is told: handing in again
// what is committed changes nothing, and is no error.
func (l *Ledger) refused(id tx.ID, err error) (Committed, error) {
	code, _ := tx.CodeOf(err)
	if code == tx.CodeNonceUsed || code == tx.CodeDuplicate || code == tx.CodeExpired {
		if at, err := l.find(id); err == nil {
			return at, nil
		}
	}
	return Committed{ID: id}, err
}

// Do implements API. Operations of one peer take their nonces in turn.
func (l *Ledger) Do(ctx context.Context, op tx.Op) (*tx.Transaction, Committed, error) {
	if err := op.Validate(); err != nil {
		return nil, Committed{}, err
	}
	for attempt := 1; ; attempt++ {
		moved := l.callers.moved.wait()
		t, err := l.sign(op)
		if err != nil {
			return nil, Committed{}, err
		}
		at, err := l.Submit(ctx, t)
		if err == nil {
			return t, at, nil
		}
		code, _ := tx.CodeOf(err)
		l.nonces.unused(t.Nonce, final(err))
		if code != tx.CodeNonceUsed {
			return t, at, err
		}
		// Another transaction of this peer has the nonce: one that it handed in before
		// a restart, or that another program signed. There may be a whole window of them
		// that others hold and this process knows nothing of. If there are more, others
		// have blocks that this peer lacks, and only with those it knows where to go on.
		if attempt%signAttempts > 0 {
			continue
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return t, Committed{ID: t.ID()}, tx.Reject(tx.CodeUnavailable, "this peer is behind, and does not know which of its nonces are used")
		case <-l.closing.begun:
			return t, Committed{ID: t.ID()}, errStopping
		}
	}
}

// final reports whether a transaction that was not committed will not be, as far as is
// known: of one that has only waited for too long, other validators may know more.
func final(err error) bool {
	code, refused := tx.CodeOf(err)
	return refused && code != tx.CodeNonceUsed && code != tx.CodeExpired
}

// signAttempts is how often Do signs with another nonce before it waits for a block.
// Nonces that are in use are refused at once, so that going through them is cheap.
const signAttempts = 256

// sign makes a transaction of this peer's with a nonce that none of its others has.
func (l *Ledger) sign(op tx.Op) (*tx.Transaction, error) {
	lowest, err := l.view.Load().Head.State.NextNonce(l.key.Public())
	if err != nil {
		return nil, err
	}
	return tx.Sign(l.key, l.genesis.ID(), l.nonces.choose(lowest, time.Now()), op)
}
