package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/bench/suite"
)

// benchmarkCASOptions are the inputs of benchmark cas.
type benchmarkCASOptions struct {
	benchmarkOptions

	modes []string // of via
	via   string
}

func newBenchmarkCASCommand(e *env) *cobra.Command {
	o := new(benchmarkCASOptions)
	cmd := &cobra.Command{
		Use:     "cas",
		Short:   "Measure storing and retrieving blocks",
		Example: "  decubectl benchmark cas --size 64MB --iterations 10",
		Args:    noArgs,
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd, "64MB", 10)
	cmd.Flags().StringVar(&o.via, "via", "embedded,daemon", "embedded: open the block store; daemon: through decube-node")
	return cmd
}

func (o *benchmarkCASOptions) parse(args []string) (err error) {
	if o.modes, err = oneOf("via", o.via, suite.Embedded, suite.Daemon); err != nil {
		return err
	}
	return o.benchmarkOptions.parse(args)
}

func (o *benchmarkCASOptions) run(ctx context.Context, e *env) error {
	return o.measure(ctx, e, func(s *suite.Suite) error {
		for _, mode := range o.modes {
			if err := s.CAS(ctx, openBenchmarkStore, mode, s.Size()); err != nil {
				return err
			}
		}
		return nil
	})
}
