package main

import (
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/exitcode"
)

// failure is an error as --json shows it: a problem as the API has it, and the exit code.
type failure struct {
	api.Problem

	ExitCode int `json:"exit_code"`
}

// sentinelOf gives exit codes the API's word for what they mean, for errors that have none
// of the API's.
var sentinelOf = map[int]error{
	exitcode.UsageError:    api.ErrInvalid,
	exitcode.Partial:       api.ErrIncomplete,
	exitcode.NoRepo:        api.ErrNotFound,
	exitcode.Locked:        api.ErrConflict,
	exitcode.NotAuthorised: api.ErrUnauthorised,
	exitcode.Unreachable:   api.ErrUnavailable,
	exitcode.TimedOut:      api.ErrTimeout,
}

// reportJSON writes err as one line of JSON, and returns its exit code. It writes nothing
// for nil.
func reportJSON(w io.Writer, err error) int {
	if err == nil {
		return exitcode.OK
	}
	f := failure{Problem: *api.NewProblem(err), ExitCode: exitcode.Of(err)}
	if sentinel := sentinelOf[f.ExitCode]; sentinel != nil && f.Code == api.CodeInternal {
		f.Problem = *api.NewProblem(sentinel)
	}
	if p, ok := errors.AsType[*api.Problem](err); ok {
		f.Problem = *p
	}
	f.Detail = err.Error()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return exitcode.Report(w, err)
	}
	return f.ExitCode
}

// wantsJSON reports whether a command line asks for JSON, also one with a mistake that
// keeps its flags from being read.
func wantsJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}
