package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/bench/suite"
)

// sourceOptions are the inputs of benchmarks of snapshots: what to measure with and how.
type sourceOptions struct {
	benchmarkOptions

	names, modes []string // of what was given

	data, via string
}

func (o *sourceOptions) bind(cmd *cobra.Command) {
	o.benchmarkOptions.bind(cmd, "1GiB", 5)
	cmd.Flags().StringVar(&o.data, "data", "R", "R: random bytes of --size; T: this machine's Go distribution; or R,T")
	cmd.Flags().StringVar(&o.via, "via", "embedded,daemon", "embedded: decubectl opens the repository; daemon: decube-node does")
}

func (o *sourceOptions) parse(args []string) (err error) {
	if o.names, err = oneOf("data", o.data, "R", "T"); err != nil {
		return err
	}
	if o.modes, err = oneOf("via", o.via, suite.Embedded, suite.Daemon); err != nil {
		return err
	}
	return o.benchmarkOptions.parse(args)
}

// measureEach measures with do every source in every mode that was asked for.
func (o *sourceOptions) measureEach(ctx context.Context, e *env, do func(s *suite.Suite, src suite.Source, mode string) error) error {
	return o.measure(ctx, e, func(s *suite.Suite) error {
		for _, name := range o.names {
			locate := s.Random
			if name == "T" {
				locate = s.Tree
			}
			src, err := locate(ctx)
			if err != nil {
				return err
			}
			for _, mode := range o.modes {
				if err := do(s, src, mode); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// benchmarkCreateOptions are the inputs of benchmark snapshot create.
type benchmarkCreateOptions struct{ sourceOptions }

func newBenchmarkCreateCommand(e *env) *cobra.Command {
	o := new(benchmarkCreateOptions)
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Measure creating snapshots, each in an empty repository",
		Example: "  decubectl benchmark snapshot create --size 1GB --iterations 10 --output results.json",
		Args:    noArgs,
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	return cmd
}

func (o *benchmarkCreateOptions) run(ctx context.Context, e *env) error {
	return o.measureEach(ctx, e, func(s *suite.Suite, src suite.Source, mode string) error {
		return s.CreateOnly(ctx, src, mode)
	})
}

// benchmarkRestoreOptions are the inputs of benchmark snapshot restore.
type benchmarkRestoreOptions struct {
	sourceOptions

	id string // of a snapshot of the user's own, in place of a source
}

func newBenchmarkRestoreCommand(e *env) *cobra.Command {
	o := new(benchmarkRestoreOptions)
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Measure restoring snapshots",
		Long: `restore measures restoring a snapshot into empty targets, from a block store that is
not in the page cache and from one that is. With --snapshot-id it restores a snapshot
of your own repository, as that lies.`,
		Example: `  decubectl benchmark snapshot restore --size 1GB --iterations 10 --output results.json
  decubectl benchmark snapshot restore --snapshot-id bafyrei... --iterations 10`,
		Args: noArgs,
		RunE: runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.id, "snapshot-id", "", "restore this snapshot of your repository in place of random bytes")
	return cmd
}

func (o *benchmarkRestoreOptions) run(ctx context.Context, e *env) error {
	if o.id != "" {
		return o.measure(ctx, e, func(s *suite.Suite) error { return s.RestoreSnapshot(ctx, e.repo, o.id) })
	}
	return o.measureEach(ctx, e, func(s *suite.Suite, src suite.Source, mode string) error {
		return s.RestoreOnly(ctx, src, mode)
	})
}
