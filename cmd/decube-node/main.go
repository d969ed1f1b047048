// Command decube-node is a DeCube peer: a daemon that stores verified chunks,
// exchanges them with other peers, and serves the API that decubectl talks to.
package main

import (
	"io"
	"os"

	"github.com/decube/decube/internal/exitcode"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	out := exitcode.NewOutput(stdout)
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(stderr)
	return exitcode.Report(stderr, out.Or(execute(root)))
}
