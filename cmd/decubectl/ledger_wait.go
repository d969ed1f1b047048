package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/ledger/tx"
)

const (
	// submitWait is how long a transaction is waited for where --timeout does not say.
	submitWait = 30 * time.Second
	// handInWait is how long the first answer may take, which says what transaction the
	// node has made of an operation. Most are in a block by then.
	handInWait = time.Second
)

// handIn hands in what a request holds and waits for its block. Whatever ends the wait,
// the user is told which transaction it is: until the node's first answer only the node
// knows, so that even an interrupt waits a moment for that.
func handIn(ctx context.Context, c *client.Client, req api.SubmitRequest, wait client.Wait) (api.Submitted, error) {
	total := wait.Timeout
	if total == 0 {
		total = submitWait
	}
	patient, stop := outlive(ctx)
	defer stop()
	done, err := c.Submit(patient, req, client.Wait{Not: wait.Not, Timeout: min(total, handInWait)})
	if err != nil || done.Committed || wait.Not {
		return done, err
	}
	begun := time.Now()
	first := done.Seconds
	if rest := total - time.Duration(first*float64(time.Second)); rest > 0 && len(done.Transaction) > 0 && ctx.Err() == nil {
		// Handed in again it is the same transaction, and is waited for.
		var more api.Submitted
		more, err = c.Submit(ctx, api.SubmitRequest{Transaction: done.Transaction}, client.Wait{Timeout: rest})
		if err == nil {
			done = more
		}
		done.Seconds = first + time.Since(begun).Seconds()
	}
	if _, refused := tx.CodeOf(err); err != nil && refused {
		return done, err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil && !errors.Is(err, api.ErrTimeout) { // whoever calls tells of one that took too long
		return done, exitcode.With(fmt.Errorf("%w; %s", err, undecidedHint(done.ID)), exitcode.Of(explain(ctx, err)))
	}
	return done, nil
}

// undecidedHint says what is known of a transaction that was handed in, and how to find
// out more.
func undecidedHint(id tx.ID) string {
	return fmt.Sprintf("transaction %s was handed in and may still get into a block; \"decubectl ledger tx %s\" tells when it is", id, id)
}

// reasonTimeout is how long it may take to find out why a transaction is in no block.
const reasonTimeout = 2 * time.Second

// undecided returns why a transaction is in no block yet, or nil if it is.
func undecided(ctx context.Context, c *client.Client, done *api.Submitted) error {
	if done.Committed {
		return nil
	}
	why := "\"decubectl ledger status\" shows what waits"
	// The command's time is used up by now, and the reason is worth a moment more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reasonTimeout)
	defer cancel()
	if st, err := c.LedgerStatus(ctx); err == nil && st.Problem != "" {
		why = st.Problem
	}
	return exitcode.With(fmt.Errorf("transaction %s is in no block after %s, and may still get into one; %s; \"decubectl ledger tx %s\" tells when it is",
		done.ID, took(done.Seconds), why, done.ID), exitcode.TimedOut)
}

// outlive returns a context that ends a moment after ctx when that is interrupted, and at
// its deadline.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if deadline, ok := ctx.Deadline(); ok {
		longer, cancel = context.WithDeadline(context.WithoutCancel(ctx), deadline)
	}
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(handInWait+reasonTimeout, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}
