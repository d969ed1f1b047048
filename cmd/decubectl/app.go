package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/version"
)

// app is what all commands share: the global flags and where output goes.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	repo     string
	url      string
	json     bool
	quiet    bool
	progress bool
	timeout  time.Duration

	cancel  context.CancelFunc // of the context that timeout ends
	rebuild bool               // make a new index where that of the store is lost
}

// command returns the whole tree of commands.
func (a *app) command() *cobra.Command {
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
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			if a.timeout > 0 {
				var ctx context.Context
				ctx, a.cancel = context.WithTimeout(cmd.Context(), a.timeout)
				cmd.SetContext(ctx)
			}
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.repo, "repo", repo.DefaultPath(), "directory of the repository")
	flags.Lookup("repo").DefValue = "$DECUBE_PATH or ~/.decube"
	flags.StringVar(&a.url, "api", "", "URL of the daemon's API, in place of the repository's own daemon")
	flags.BoolVar(&a.json, "json", false, "print JSON, one object per line")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print neither progress nor notes")
	flags.BoolVar(&a.progress, "progress", false, "write progress to standard error as JSON, one object per line")
	flags.DurationVar(&a.timeout, "timeout", 0, "give up after this long, such as 30s or 10m; 0 is never")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError("%w", err) })
	root.SetHelpCommand(&cobra.Command{Use: "help [COMMAND]", Short: "Show help for a command", Hidden: true, RunE: help})
	root.CompletionOptions.HiddenDefaultCmd = false
	asGroup(root)
	root.AddCommand(
		a.snapshotCommand(), a.repoCommand(), a.gcCommand("gc"),
		a.idCommand(), a.statusCommand(), a.swarmCommand(), a.bootstrapCommand(), a.routingCommand(),
		a.ledgerCommand(), a.receiptCommand(),
		a.benchmarkCommand(), a.versionCommand(), a.docsCommand(),
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

// group returns a command that only has commands below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(below...)
	asGroup(cmd)
	return cmd
}

// asGroup makes cmd show its help when called alone, and refuse words that are no
// commands.
func asGroup(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		hint := ""
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("; did you mean %q?", near[0])
		}
		return usageError("%s has no command %q%s", cmd.CommandPath(), args[0], hint)
	}
	cmd.SuggestionsMinimumDistance = 2
}

// userAgent is what the daemon is told.
func userAgent() string { return version.Get().UserAgent("decubectl") }

// note tells the user something beside the data.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// warn tells the user what must not be overlooked.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.stderr, "Warning: "+format+"\n", args...)
}

// print writes v as a line of JSON with --json, and whatever text writes without.
func (a *app) print(v any, text func(w io.Writer)) error {
	if !a.json {
		text(a.stdout)
		return nil
	}
	if err := json.NewEncoder(a.stdout).Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

// printEach writes a line of JSON for each item with --json, and whatever text
// writes without.
func printEach[T any](a *app, items []T, text func(w io.Writer)) error {
	if !a.json {
		text(a.stdout)
		return nil
	}
	for i := range items {
		if err := a.print(items[i], nil); err != nil {
			return err
		}
	}
	return nil
}

// onTerminal reports whether w is a terminal that can move its cursor.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
