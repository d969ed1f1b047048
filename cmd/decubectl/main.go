// Command decubectl controls a DeCube node: it takes and restores snapshots with
// the rights of the person who calls it, and asks the node's daemon for everything
// else. Data goes to standard output, progress and messages to standard error;
// package exitcode lists the exit codes.
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, cancel: func() {}}
	defer func() { a.cancel() }()
	root := a.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := explain(ctx, root.ExecuteContext(ctx))
	if a.json || wantsJSON(args) {
		return reportJSON(stderr, err)
	}
	return exitcode.Report(stderr, err)
}
