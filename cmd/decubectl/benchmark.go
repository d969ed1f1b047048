package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/internal/bench/suite"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/exitcode"
)

func newBenchmarkCommand(e *env) *cobra.Command {
	cmd := group("benchmark", "Measure snapshots, fetches, the block store, the daemon and the ledger",
		newBenchmarkAllCommand(e),
		group("snapshot", "Measure creating and restoring snapshots", newBenchmarkCreateCommand(e), newBenchmarkRestoreCommand(e)),
		newBenchmarkCASCommand(e),
		newBenchmarkFetchCommand(e),
		newBenchmarkDaemonCommand(e),
		newBenchmarkConsensusCommand(e),
		newBenchmarkShowCommand(e),
		newBenchmarkCompareCommand(e),
	)
	cmd.Long = `benchmark measures DeCube on this machine, as a ratio to what the machine's disk and
processor allow in the same run. It starts programs of its own in repositories of
its own, below --dir, and deletes them at the end. docs/benchmarks.md says what each
figure means.`
	cmd.Example = `  decubectl benchmark all --output results.json
  decubectl benchmark snapshot create --size 1GB --iterations 10 --output results.json
  decubectl benchmark compare before.json after.json`
	return cmd
}

// benchmarkOptions are the inputs of every benchmark that runs something. They embed the
// suite's own, whose Ctl and Log are completed when it runs.
type benchmarkOptions struct {
	suite.Config

	size   string
	output string
}

// bind binds the flags of cmd, with size as the default of --size where that is not "".
func (o *benchmarkOptions) bind(cmd *cobra.Command, size string, iterations int) {
	flags := cmd.Flags()
	if size != "" {
		flags.StringVar(&o.size, "size", size, "length of the data, such as 64MB or 1GiB")
	}
	flags.IntVar(&o.Iterations, "iterations", iterations, "samples of each operation")
	flags.StringVarP(&o.output, "output", "o", "", "write the result document to this file")
	flags.StringVar(&o.Dir, "dir", "", "make scratch space below this directory; it decides which disk is measured")
	flags.StringVar(&o.Node, "node", "", "decube-node to measure; by default the one beside decubectl")
}

// parse completes the suite's configuration.
func (o *benchmarkOptions) parse([]string) error {
	o.Size = 1 << 30
	if o.size != "" {
		var err error
		if o.Size, err = config.ParseSize(o.size); err != nil {
			return usageError("--size: %w", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("looking for this program's own file: %w", err)
	}
	o.Ctl = self
	if o.Node == "" {
		o.Node = filepath.Join(filepath.Dir(self), "decube-node")
	}
	if err := o.Validate(); err != nil {
		return usageError("%w", err)
	}
	return nil
}

// measure makes a suite, lets work use it, and delivers the results, also when work
// failed half way.
func (o *benchmarkOptions) measure(ctx context.Context, e *env, work func(s *suite.Suite) error) (err error) {
	cfg := o.Config
	cfg.Log = func(line string) { e.note("benchmark: %s", line) }
	s, err := suite.New(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	failed := work(s)
	if errors.Is(failed, suite.ErrIncomplete) {
		failed = exitcode.With(failed, exitcode.Partial)
	}
	return errors.Join(failed, o.deliver(e, s.Document()))
}

// deliver prints the results and writes them to the file that was asked for.
func (o *benchmarkOptions) deliver(e *env, d *bench.Document) error {
	if o.output != "" {
		if err := writeResults(o.output, d); err != nil {
			return err
		}
	}
	if e.json {
		return d.Write(e.stdout)
	}
	return d.Print(e.stdout, bench.Plain)
}

func writeResults(path string, d *bench.Document) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing benchmark results: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing benchmark results: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return d.Write(file)
}

// benchmarkAllOptions are the inputs of benchmark all.
type benchmarkAllOptions struct{ benchmarkOptions }

func newBenchmarkAllCommand(e *env) *cobra.Command {
	o := new(benchmarkAllOptions)
	cmd := &cobra.Command{
		Use:   "all",
		Short: "Run every benchmark",
		Long: `all runs every benchmark on random bytes and on the Go distribution of this machine,
and restic and borg beside them where they are installed. It takes about a quarter of
an hour and 10 GiB of disk. Exit code 3 says that something could not be measured.`,
		Example: "  decubectl benchmark all --output results.json",
		Args:    noArgs,
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd, "1GiB", 5)
	return cmd
}

func (o *benchmarkAllOptions) run(ctx context.Context, e *env) error {
	return o.measure(ctx, e, func(s *suite.Suite) error { return s.All(ctx, openBenchmarkStore) })
}

// oneOf checks a flag that has a few values, of which several may be given
// separated by commas.
func oneOf(flag, given string, valid ...string) ([]string, error) {
	var out []string
	for v := range strings.SplitSeq(given, ",") {
		found := false
		for _, w := range valid {
			if strings.EqualFold(v, w) {
				out, found = append(out, w), true
			}
		}
		if !found {
			return nil, usageError("--%s: %q is not one of %s", flag, v, strings.Join(valid, ", "))
		}
	}
	return out, nil
}
