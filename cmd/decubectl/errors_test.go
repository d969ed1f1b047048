package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
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
		{t.Context(), api.ErrNotFound, exitcode.Failed},
		{t.Context(), api.ErrInvalid, exitcode.UsageError},
		{t.Context(), usageError(testApp().command(), "wrong"), exitcode.UsageError},
		{t.Context(), repo.ErrNoRepo, exitcode.NoRepo},
		{t.Context(), repo.ErrLocked, exitcode.Locked},
		{t.Context(), &api.Problem{Code: api.CodeUnauthorised}, exitcode.NotAuthorised},
		{t.Context(), api.ErrUnreachable, exitcode.Unreachable},
		{t.Context(), blocksession.ErrClosed, exitcode.Unreachable},
		{t.Context(), &api.Problem{Code: api.CodeTimeout}, exitcode.TimedOut},
		{t.Context(), context.DeadlineExceeded, exitcode.TimedOut},
		{stopped, context.Canceled, exitcode.Failed},
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
