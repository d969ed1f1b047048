package exitcode_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
)

func TestOf(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, exitcode.OK},
		{io.ErrUnexpectedEOF, exitcode.Failed},
		{fmt.Errorf("opening: %w", repo.ErrNoRepo), exitcode.NoRepo},
		{fmt.Errorf("opening: %w", repo.ErrLocked), exitcode.Locked},
		{fmt.Errorf("reading: %w", repo.ErrTokenExposed), exitcode.NotAuthorised},
		{fmt.Errorf("asking: %w", context.DeadlineExceeded), exitcode.TimedOut},
		{fmt.Errorf("run: %w", exitcode.With(io.EOF, exitcode.Partial)), exitcode.Partial},
		{exitcode.With(repo.ErrLocked, exitcode.Unreachable), exitcode.Unreachable},
		{fmt.Errorf("run: %w", exitcode.Usage("decubectl id", io.EOF)), exitcode.UsageError},
		{repo.ErrVersion, exitcode.Failed},
		{fmt.Errorf("run a child: %w", &exec.ExitError{ProcessState: new(os.ProcessState)}), exitcode.Failed},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, &exec.ExitError{ProcessState: new(os.ProcessState)}), exitcode.TimedOut},
	} {
		if got := exitcode.Of(tc.err); got != tc.want {
			t.Errorf("Of(%v) = %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestNilStaysNil(t *testing.T) {
	if exitcode.With(nil, 3) != nil || exitcode.Usage("x", nil) != nil {
		t.Error("a nil error became an error")
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	cause := errors.New(`"x" is not a multiaddr`)
	code := exitcode.Report(&out, exitcode.Usage("decube-node daemon", cause))
	want := "Error: \"x\" is not a multiaddr\nRun 'decube-node daemon --help' for usage.\n"
	if code != exitcode.UsageError || out.String() != want {
		t.Errorf("code %d, text %q", code, out.String())
	}
	out.Reset()
	if code := exitcode.Report(&out, nil); code != exitcode.OK || out.String() != "" {
		t.Errorf("nil: code %d, text %q", code, out.String())
	}
}
