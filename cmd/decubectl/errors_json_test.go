package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger/tx"
)

// TestErrorsAsJSON holds that an error is one object with --json, with the exit code that
// it has without.
func TestErrorsAsJSON(t *testing.T) {
	rejected := api.NewProblem(tx.Reject(tx.CodeNameTaken, "photos is held by <somebody>"))
	for _, tc := range []struct {
		err  error
		code api.Code
		exit int
	}{
		{errors.New("a disk"), api.CodeInternal, exitcode.Failed},
		{usageError("wrong"), api.CodeInvalid, exitcode.UsageError},
		{repo.ErrNoRepo, api.CodeNotFound, exitcode.NoRepo},
		{api.ErrUnreachable, api.CodeUnavailable, exitcode.Unreachable},
		{&api.Problem{Code: api.CodeNoLedger, Status: 404, Detail: "none"}, api.CodeNoLedger, exitcode.Failed},
		{rejected, api.CodeRejected, exitcode.Failed},
		{exitcode.With(errors.New("in no block"), exitcode.TimedOut), api.CodeTimeout, exitcode.TimedOut},
	} {
		var out strings.Builder
		err := explain(t.Context(), fmt.Errorf("doing something: %w", tc.err))
		if got := reportJSON(&out, err); got != tc.exit {
			t.Errorf("%v: exit code %d, want %d", err, got, tc.exit)
		}
		var got failure
		if strings.Count(out.String(), "\n") != 1 || json.Unmarshal([]byte(out.String()), &got) != nil {
			t.Fatalf("%v: %q is no line of JSON", err, out.String())
		}
		if got.Code != tc.code || got.ExitCode != tc.exit || got.Detail != err.Error() || got.Title == "" && tc.code != api.CodeNoLedger {
			t.Errorf("%v: %s", err, out.String())
		}
		if (got.Rejection != nil) != (tc.code == api.CodeRejected) {
			t.Errorf("%v: rejection %+v", err, got.Rejection)
		}
	}
	var none strings.Builder
	if reportJSON(&none, nil) != exitcode.OK || none.Len() > 0 {
		t.Error("there is no error")
	}
}

// TestRunReportsAsAsked runs the program on command lines with mistakes.
func TestRunReportsAsAsked(t *testing.T) {
	for _, args := range [][]string{
		{"ledger", "tx", "x", "--json"}, {"--json", "ledger", "nothing"}, {"ledger", "status", "--nothing", "--json"},
	} {
		var out, errs strings.Builder
		if code := run(args, strings.NewReader(""), &out, &errs); code != exitcode.UsageError {
			t.Errorf("%q: exit code %d", args, code)
		}
		if out.Len() > 0 || !json.Valid([]byte(errs.String())) {
			t.Errorf("%q: %s%s", args, out.String(), errs.String())
		}
	}
}
