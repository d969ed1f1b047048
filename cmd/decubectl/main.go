package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/decube/decube/internal/exitcode"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program. The first SIGINT or SIGTERM makes it stop cleanly; a
// second one ends the process at once.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	defer boundMemory()()
	ctx, release := untilSignal()
	defer release()
	// A standard output that is closed cannot be seen from here. Go's runtime puts the null
	// device in its place before main, opened for reading and writing; so does whoever
	// discards a program's output on purpose: Python's subprocess.DEVNULL, "ignore" in
	// Node.js, daemon(3). Nothing that a process can ask of a descriptor tells them apart.
	out := exitcode.NewOutput(stdout)
	e := &env{stdin: stdin, stdout: out, stderr: stderr}
	root := newRootCommand(e)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	err = explain(ctx, out.Or(inUsage(cmd, err)))
	if e.json || wantsJSON(args) {
		return reportJSON(stderr, err)
	}
	return exitcode.Report(stderr, err)
}

// untilSignal returns a context that the first SIGINT or SIGTERM ends, with a stopped as
// its cause. The next one ends the process.
func untilSignal() (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer close(done)
		defer signal.Stop(signals)
		select {
		case s := <-signals:
			cancel(stopped{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

// stopped says which signal has ended a command.
type stopped struct{ signal os.Signal }

func (s stopped) Error() string { return "stopped by signal " + s.signal.String() }

// Is makes it what ended contexts give as reason.
func (stopped) Is(target error) bool { return target == context.Canceled }

// code returns the exit code that shells know the signal by.
func (s stopped) code() int {
	if s.signal == syscall.SIGTERM {
		return exitcode.Terminated
	}
	return exitcode.Interrupted
}
