package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger/tx"
)

func TestExplain(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, tc := range []struct {
		ctx  context.Context //nolint:containedctx // the case's input
		err  error
		want int
	}{
		{t.Context(), nil, exitcode.OK},
		{t.Context(), io.ErrUnexpectedEOF, exitcode.Failed},
		{t.Context(), api.ErrNotFound, exitcode.NotFound},
		{t.Context(), api.ErrInvalid, exitcode.UsageError},
		{t.Context(), usageError("wrong"), exitcode.UsageError},
		{t.Context(), repo.ErrNoRepo, exitcode.NoRepo},
		{t.Context(), repo.ErrLocked, exitcode.Locked},
		{t.Context(), &api.Problem{Code: api.CodeUnauthorised}, exitcode.NotAuthorised},
		{t.Context(), api.ErrUnreachable, exitcode.Unreachable},
		{t.Context(), blocksession.ErrClosed, exitcode.Unreachable},
		{t.Context(), &api.Problem{Code: api.CodeTimeout}, exitcode.TimedOut},
		{t.Context(), context.DeadlineExceeded, exitcode.TimedOut},
		{stopped, context.Canceled, exitcode.Interrupted},
		{stopped, fmt.Errorf("%w: %w", context.Canceled, new(exec.ExitError)), exitcode.Interrupted},
		{stopped, exitcode.With(io.EOF, exitcode.Partial), exitcode.Partial},
	} {
		err := tc.err
		if err != nil {
			err = fmt.Errorf("doing something: %w", err)
		}
		if got := exitcode.Of(explain(tc.ctx, err)); got != tc.want {
			t.Errorf("%v: exit code %d, want %d", err, got, tc.want)
		}
	}
	if err := explain(stopped, context.Canceled); errors.Is(err, context.Canceled) || err.Error() != "interrupted" {
		t.Errorf("after a signal: %v", err)
	}
}

// TestRefusalsAreExplained holds who is said to have refused an operation, and that what
// is added to the details says more than they do.
func TestRefusalsAreExplained(t *testing.T) {
	for _, tc := range []struct {
		rejection error
		want      string
	}{
		{
			tx.Reject(tx.CodeInvalid, "address: this node does not sign it"),
			"the operation was refused: invalid: address: this node does not sign it",
		},
		{tx.Reject(tx.CodeNotAllowed, "it is promised until 2030"), "the ledger rejected the transaction: not_allowed: it is promised until 2030"},
		{
			tx.Reject(tx.CodeNotValidator, "12D3KooW"),
			"the ledger rejected the transaction: not_validator: 12D3KooW; " + tx.CodeNotValidator.Explain(),
		},
	} {
		if got := explain(t.Context(), api.NewProblem(tc.rejection)).Error(); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// TestUsageErrorsNameTheirCommand holds where somebody who made a mistake is sent to read
// on, wherever the mistake was found.
func TestUsageErrorsNameTheirCommand(t *testing.T) {
	for args, want := range map[string]string{
		"snapshot show x":             "decubectl snapshot show", // an argument
		"snapshot show":               "decubectl snapshot show", // how many
		"snapshot show x --long":      "decubectl snapshot show", // a flag
		"ledger submit --file absent": "",                        // no mistake in the words
		"ledger submit name.claim /":  "decubectl ledger submit name.claim",
		"snapshot shw":                "decubectl snapshot",
	} {
		var errs strings.Builder
		run(strings.Fields(args), strings.NewReader(""), io.Discard, &errs)
		_, hint, found := strings.Cut(errs.String(), "Run '")
		if got, _, _ := strings.Cut(hint, " --help'"); got != want || found != (want != "") {
			t.Errorf("%s: sent to %q, want %q:\n%s", args, got, want, errs.String())
		}
	}
}

// TestFilesThatHoldTheWrongThing are mistakes in the words, as what an argument says itself
// is; a file that is not there is none.
func TestFilesThatHoldTheWrongThing(t *testing.T) {
	dir := t.TempDir()
	large, small := filepath.Join(dir, "large"), filepath.Join(dir, "small")
	if err := errors.Join(os.WriteFile(large, make([]byte, 1<<20+1), 0o600), os.WriteFile(small, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{
		"ledger submit --file " + large:                      exitcode.UsageError,
		"ledger submit --file " + small:                      exitcode.UsageError,
		"ledger submit --file absent":                        exitcode.Failed,
		"ledger submit name.claim x --key " + large:          exitcode.UsageError,
		"ledger submit name.claim x --key " + small:          exitcode.UsageError,
		"ledger submit name.claim x --key absent":            exitcode.Failed,
		"ledger submit record.put --namespace n k @" + large: exitcode.UsageError,
	} {
		var errs strings.Builder
		if got := run(strings.Fields(args), strings.NewReader(""), io.Discard, &errs); got != want {
			t.Errorf("%s: exit code %d, want %d:\n%s", args, got, want, errs.String())
		}
	}
}
