package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// globals are what the flags of every command say.
type globals struct {
	repo     string        // directory of the repository
	url      string        // of the API, or empty for that of the repository's own daemon
	json     bool          // print JSON, one object a line
	quiet    bool          // print neither progress nor notes
	progress bool          // write progress as JSON
	timeout  time.Duration // of the whole command, 0 for none
}

// env is what a command runs in: where its input comes from and where its output goes,
// what the global flags say and, by those, how a node is reached. A command's run gets it
// beside the command's own options, and nothing else from outside. It is for one
// goroutine, but for note, warn and print, which are as safe as its streams.
type env struct {
	globals

	stdin          io.Reader
	stdout, stderr io.Writer
}

// note tells the user something beside the data.
func (e *env) note(format string, args ...any) {
	if !e.quiet {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}

// warn tells the user what must not be overlooked.
func (e *env) warn(format string, args ...any) {
	fmt.Fprintf(e.stderr, "Warning: "+format+"\n", args...)
}

// print writes v as a line of JSON with --json, and whatever text writes without.
func (e *env) print(v any, text func(w io.Writer)) error {
	if !e.json {
		text(e.stdout)
		return nil
	}
	if err := json.NewEncoder(e.stdout).Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

// printEach writes a line of JSON for each item with --json, and whatever text
// writes without.
func printEach[T any](e *env, items []T, text func(w io.Writer)) error {
	if !e.json {
		text(e.stdout)
		return nil
	}
	for i := range items {
		if err := e.print(items[i], nil); err != nil {
			return err
		}
	}
	return nil
}

// limit returns a context that ends with --timeout.
func (e *env) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if e.timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, e.timeout)
}

// patience is how long a daemon may try something for a command, so that it can still say
// what it tried before the command's time is over: nine tenths of what is left of it. It
// is 0 where the command has no end.
func patience(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(deadline)*9/10, 1)
}

// onTerminal reports whether w is a terminal that can move its cursor.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
