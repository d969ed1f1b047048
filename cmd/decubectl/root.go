package main

import (
	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
)

// newRootCommand returns the whole tree of commands, which run in e. The global flags are
// e's.
func newRootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "decubectl",
		Short: "Control a DeCube node",
		Long: `decubectl takes, fetches and restores snapshots, and controls a DeCube node.

It finds the node's daemon by the repository, $DECUBE_PATH or ~/.decube. Data goes
to standard output, progress and messages to standard error. With --json an error is
one line there too: a problem as the API has it, with the exit code.

Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 done in part, 10 no repository,
11 repository in use, 12 not authorised, 13 daemon unreachable, 14 timed out or
nobody has it, 15 not found on this node, 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&e.repo, "repo", repo.DefaultPath(), "directory of the repository")
	flags.Lookup("repo").DefValue = "$DECUBE_PATH or ~/.decube"
	flags.StringVar(&e.url, "api", "", "URL of the daemon's API, in place of the repository's own daemon")
	flags.BoolVar(&e.json, "json", false, "print JSON, one object per line")
	flags.BoolVarP(&e.quiet, "quiet", "q", false, "print neither progress nor notes")
	flags.BoolVar(&e.progress, "progress", false, "write progress to standard error as JSON, one object per line")
	flags.DurationVar(&e.timeout, "timeout", 0, "give up after this long, such as 30s or 10m; 0 is never")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError("%w", err) })
	root.SetHelpCommand(&cobra.Command{Use: "help [COMMAND]", Short: "Show help for a command", Hidden: true, RunE: help})
	root.CompletionOptions.HiddenDefaultCmd = false
	asGroup(root)
	root.AddCommand(
		newSnapshotCommand(e), newRepoCommand(e), newGCCommand(e),
		newIDCommand(e), newStatusCommand(e), newSwarmCommand(e), newBootstrapCommand(e), newRoutingCommand(e),
		newCatalogCommand(e), newLedgerCommand(e), newReceiptCommand(e),
		newBenchmarkCommand(e), newVersionCommand(e), newDocsCommand(e),
	)
	return root
}

func help(cmd *cobra.Command, args []string) error {
	found, _, err := cmd.Root().Find(args)
	if err != nil {
		return exitcode.Usage(cmd.Root().CommandPath(), err)
	}
	return found.Help()
}
