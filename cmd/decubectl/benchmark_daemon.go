package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/bench/suite"
)

// benchmarkDaemonOptions are the inputs of benchmark daemon.
type benchmarkDaemonOptions struct {
	benchmarkOptions

	blocks int
}

func newBenchmarkDaemonCommand(e *env) *cobra.Command {
	o := new(benchmarkDaemonOptions)
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Measure starting a full daemon, and an idle one",
		Long: `daemon measures how long a daemon with many stored blocks takes to be ready, and what
memory and processor time one with ten peers uses that has nothing to do.`,
		Example: "  decubectl benchmark daemon --blocks 1000000",
		Args:    noArgs,
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd, "", 5)
	cmd.Flags().IntVar(&o.blocks, "blocks", 1_000_000, "blocks stored when the daemon starts")
	return cmd
}

func (o *benchmarkDaemonOptions) parse(args []string) error {
	if o.blocks < 1 {
		return usageError("--blocks is %d, the least is 1", o.blocks)
	}
	return o.benchmarkOptions.parse(args)
}

func (o *benchmarkDaemonOptions) run(ctx context.Context, e *env) error {
	return o.measure(ctx, e, func(s *suite.Suite) error {
		if err := s.Start(ctx, openBenchmarkStore, o.blocks); err != nil {
			return err
		}
		return s.Idle(ctx)
	})
}
