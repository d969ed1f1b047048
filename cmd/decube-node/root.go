package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
)

const program = "decube-node"

// globals are the flags that every command has.
type globals struct {
	repo string
}

func newRootCommand() *cobra.Command {
	g := new(globals)
	root := &cobra.Command{
		Use:   program,
		Short: "A DeCube peer",
		Long: `decube-node is a DeCube peer: it keeps verified chunks of snapshots, finds other
peers through a distributed hash table and exchanges chunks with them.
Talk to it with decubectl.

Exit codes: 0 ok, 1 failed, 2 wrong usage or configuration, 10 no repository,
11 repository in use, 16 address in use.`,
		Example: `  decube-node daemon --init
  decube-node daemon --init --network home --listen /ip4/0.0.0.0/tcp/4801 \
      --bootstrap /ip4/192.0.2.1/tcp/4801/p2p/12D3KooW...`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&g.repo, "repo", repo.DefaultPath(),
		"directory of the repository; "+repo.EnvPath+" sets it too")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exitcode.Usage(cmd.CommandPath(), err)
	})
	root.AddCommand(
		newInitCommand(g),
		newDaemonCommand(g),
		newConfigCommand(g),
		newTestnetCommand(),
		newBenchmarkCommand(),
		newVersionCommand(),
	)
	return root
}

// execute runs the command line; mistakes in it become usage errors.
func execute(root *cobra.Command) error {
	checkArguments(root)
	cmd, err := root.ExecuteC()
	if err != nil && errors.Is(err, config.ErrInvalid) && fromCommandLine(err) {
		return exitcode.Usage(cmd.CommandPath(), err)
	}
	return err
}

// checkArguments makes every command report wrong arguments as usage errors.
func checkArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			return exitcode.Usage(c.CommandPath(), check(c, args))
		}
	}
	for _, sub := range cmd.Commands() {
		checkArguments(sub)
	}
}

// fromCommandLine reports whether a flag is to blame for a configuration error.
func fromCommandLine(err error) bool {
	var p *config.Problem
	return errors.As(err, &p) && (p.Origin == "" || strings.HasPrefix(p.Origin, "--"))
}
