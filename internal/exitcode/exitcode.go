// Package exitcode gives both programs one table of exit codes, and one way to
// tell a user what went wrong.
//
//	0  ok
//	1  failed
//	2  wrong usage: an argument, a flag or a configuration value
//	3  done in part; what is missing was reported
//	10 no repository where one was expected
//	11 the repository is in use by another process
//	12 not authorised
//	13 the daemon cannot be reached
//	14 timed out, or nobody has what was looked for
//	15 not found: this node does not have what was named
//	16 an address is in use by another program
//	130, 143 interrupted by SIGINT, SIGTERM
//
// An error carries its code by wrapping a sentinel of this table, or by having
// an ExitCode method; [With] and [Usage] add one.
package exitcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/repo"
)

// The exit codes, which scripts rely on: they never change their meaning.
const (
	OK            = 0
	Failed        = 1
	UsageError    = 2
	Partial       = 3
	NoRepo        = 10
	Locked        = 11
	NotAuthorised = 12
	Unreachable   = 13
	TimedOut      = 14
	NotFound      = 15
	AddressInUse  = 16
	Interrupted   = 130 // and what a shell says of a program that SIGINT has killed
	Terminated    = 143
)

// Coder is implemented by errors that know their exit code.
type Coder interface {
	error
	ExitCode() int
}

// sentinels maps errors of packages that do not know about exit codes.
var sentinels = []struct {
	err  error
	code int
}{
	{repo.ErrNoRepo, NoRepo},
	{repo.ErrLocked, Locked},
	{repo.ErrTokenExposed, NotAuthorised},
	{repo.ErrOwner, NotAuthorised},
	{config.ErrInvalid, UsageError},
	{os.ErrDeadlineExceeded, TimedOut},
	{syscall.EADDRINUSE, AddressInUse},
	{context.DeadlineExceeded, TimedOut},
}

// Attached returns the exit code that was attached to err, if one was. The code of a
// child process, which its *exec.ExitError knows, says nothing about ours.
func Attached(err error) (code int, ok bool) {
	coder, ok := errors.AsType[Coder](err)
	if _, child := any(coder).(*exec.ExitError); !ok || child {
		return 0, false
	}
	return coder.ExitCode(), true
}

// Of returns the exit code for err; nil is OK. A code that was attached
// explicitly wins over a sentinel further down the chain.
func Of(err error) int {
	if err == nil {
		return OK
	}
	if code, ok := Attached(err); ok {
		return code
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.code
		}
	}
	return Failed
}

type coded struct {
	error

	code int
}

func (c coded) ExitCode() int { return c.code }
func (c coded) Unwrap() error { return c.error }

// With attaches an exit code to err without changing its text. A nil err stays nil.
func With(err error, code int) error {
	if err == nil {
		return nil
	}
	return coded{err, code}
}

// usage is an error in how a command was called.
type usage struct {
	error

	command string
}

func (u usage) ExitCode() int { return UsageError }
func (u usage) Unwrap() error { return u.error }

// Usage marks err as a mistake in how command was called, such as
// "decubectl snapshot create". [Report] then adds a hint where to read on.
// A nil err stays nil.
func Usage(command string, err error) error {
	if err == nil {
		return nil
	}
	return usage{err, command}
}

// Report prints err for a person, followed by a hint for a usage error, and
// returns the exit code. It prints nothing for nil.
func Report(w io.Writer, err error) int {
	if err == nil {
		return OK
	}
	fmt.Fprintf(w, "Error: %v\n", err)
	var u usage
	if errors.As(err, &u) && u.command != "" {
		fmt.Fprintf(w, "Run '%s --help' for usage.\n", u.command)
	}
	return Of(err)
}
