package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/ledger/tx"
)

// codes gives the API's sentinels their exit codes.
var codes = []struct {
	err  error
	code int
}{
	{api.ErrUnreachable, exitcode.Unreachable},
	{api.ErrUnauthorised, exitcode.NotAuthorised},
	{api.ErrTimeout, exitcode.TimedOut},
	{api.ErrInvalid, exitcode.UsageError},
	{api.ErrNotFound, exitcode.NotFound},
	{block.ErrNotFound, exitcode.NotFound},
	{blocksession.ErrClosed, exitcode.Unreachable},
}

// explain gives err its exit code and, where the cause lies outside the error,
// says what happened.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := exitcode.Attached(err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		code := exitcode.Interrupted
		if s, ok := errors.AsType[stopped](context.Cause(ctx)); ok {
			code = s.code()
		}
		return exitcode.With(errors.New("interrupted"), code)
	}
	if p, ok := errors.AsType[*api.Problem](err); ok && p.Rejection != nil {
		what := "the ledger rejected the transaction"
		if p.Status == http.StatusUnprocessableEntity { // what the node sees by itself, before anybody is asked
			what = "the operation was refused"
		}
		code, parseErr := tx.ParseCode(p.Rejection.Code)
		return exitcode.With(fmt.Errorf("%s: %w%s", what, err, advice(code, parseErr == nil, p.Rejection.Explain)), exitcode.Failed)
	}
	if errors.Is(err, blocksession.ErrClosed) || errors.Is(err, api.ErrUnreachable) && errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w; the daemon went away or is stopping: start it and run the same command again to go on from there", err)
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return exitcode.With(err, c.code)
		}
	}
	return err
}

// advice returns what to add to a rejection: what its code means and what to do, unless
// that is no more than to look at the details, which are there.
func advice(code tx.Code, known bool, explain string) string {
	if known && (code == tx.CodeInvalid || code == tx.CodeNotAllowed) {
		return ""
	}
	return "; " + explain
}

// misuse is a mistake in how a command was called, found by what need not know which
// command that is: [run] names it.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }

// ExitCode implements exitcode.Coder.
func (misuse) ExitCode() int { return exitcode.UsageError }

// usageError is a mistake in the arguments or flags of a command. It takes what
// fmt.Errorf does.
func usageError(format string, args ...any) error {
	return misuse{fmt.Errorf(format, args...)}
}

// inUsage names the command to whose help the user is sent, where err is a mistake in
// how it was called.
func inUsage(cmd *cobra.Command, err error) error {
	if _, ok := errors.AsType[misuse](err); ok {
		return exitcode.Usage(cmd.CommandPath(), err)
	}
	return err
}

// isNotFound reports whether err is about something that the node does not hold.
func isNotFound(err error) bool {
	return errors.Is(err, api.ErrNotFound) || errors.Is(err, block.ErrNotFound)
}
