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

// benchmarkFlags are the flags of benchmarks that run something.
type benchmarkFlags struct {
	size       string
	iterations int
	output     string
	dir        string
	node       string
}

func (a *app) benchmarkCommand() *cobra.Command {
	cmd := group("benchmark", "Measure snapshots, fetches, the block store, the daemon and the ledger",
		a.benchmarkAllCommand(),
		group("snapshot", "Measure creating and restoring snapshots", a.benchmarkCreateCommand(), a.benchmarkRestoreCommand()),
		a.benchmarkCASCommand(),
		a.benchmarkFetchCommand(),
		a.benchmarkDaemonCommand(),
		a.benchmarkConsensusCommand(),
		a.benchmarkShowCommand(),
		a.benchmarkCompareCommand(),
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

// add adds the flags to cmd, with size as the default of --size where that is not "".
func (f *benchmarkFlags) add(cmd *cobra.Command, size string, iterations int) {
	flags := cmd.Flags()
	if size != "" {
		flags.StringVar(&f.size, "size", size, "length of the data, such as 64MB or 1GiB")
	}
	flags.IntVar(&f.iterations, "iterations", iterations, "samples of each operation")
	flags.StringVarP(&f.output, "output", "o", "", "write the result document to this file")
	flags.StringVar(&f.dir, "dir", "", "make scratch space below this directory; it decides which disk is measured")
	flags.StringVar(&f.node, "node", "", "decube-node to measure; by default the one beside decubectl")
}

// run makes a suite, lets work use it, and delivers the results, also when work
// failed half way.
func (f *benchmarkFlags) run(cmd *cobra.Command, a *app, work func(ctx context.Context, s *suite.Suite) error) (err error) {
	cfg, err := f.config(a)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	s, err := suite.New(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	failed := work(ctx, s)
	if errors.Is(failed, suite.ErrIncomplete) {
		failed = exitcode.With(failed, exitcode.Partial)
	}
	return errors.Join(failed, f.deliver(a, s.Document()))
}

func (f *benchmarkFlags) config(a *app) (suite.Config, error) {
	size := int64(1 << 30)
	if f.size != "" {
		var err error
		if size, err = config.ParseSize(f.size); err != nil {
			return suite.Config{}, usageError("--size: %w", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return suite.Config{}, fmt.Errorf("looking for this program's own file: %w", err)
	}
	node := f.node
	if node == "" {
		node = filepath.Join(filepath.Dir(self), "decube-node")
	}
	cfg := suite.Config{
		Ctl: self, Node: node, Dir: f.dir, Size: size, Iterations: f.iterations,
		Log: func(line string) { a.note("benchmark: %s", line) },
	}
	if err := cfg.Validate(); err != nil {
		return suite.Config{}, usageError("%w", err)
	}
	return cfg, nil
}

// deliver prints the results and writes them to the file that was asked for.
func (f *benchmarkFlags) deliver(a *app, d *bench.Document) error {
	if f.output != "" {
		if err := writeResults(f.output, d); err != nil {
			return err
		}
	}
	if a.json {
		return d.Write(a.stdout)
	}
	return d.Print(a.stdout, bench.Plain)
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

func (a *app) benchmarkAllCommand() *cobra.Command {
	f := new(benchmarkFlags)
	cmd := &cobra.Command{
		Use:   "all",
		Short: "Run every benchmark",
		Long: `all runs every benchmark on random bytes and on the Go distribution of this machine,
and restic and borg beside them where they are installed. It takes about a quarter of
an hour and 10 GiB of disk. Exit code 3 says that something could not be measured.`,
		Example: "  decubectl benchmark all --output results.json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, a, func(ctx context.Context, s *suite.Suite) error { return s.All(ctx, openBenchmarkStore) })
		},
	}
	f.add(cmd, "1GiB", 5)
	return cmd
}

func (a *app) benchmarkCompareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Tell what changed between two runs from noise",
		Long: `compare sets two result documents against each other. A difference is called a change
when a rank test finds that chance would show it less than once in twenty times.`,
		Example: "  decubectl benchmark compare before.json after.json",
		Args:    wants(2, 2, "two result documents"),
		RunE: func(_ *cobra.Command, args []string) error {
			before, err := readResults(args[0])
			if err != nil {
				return err
			}
			after, err := readResults(args[1])
			if err != nil {
				return err
			}
			if why := bench.Incomparable(before, after); why != "" {
				a.warn("compare ratios rather than times: %s.", why)
			}
			comparisons := bench.Compare(before, after)
			if a.json {
				return printEach(a, comparisons, nil)
			}
			return bench.PrintComparison(a.stdout, comparisons, bench.Plain)
		},
	}
}

func (a *app) benchmarkShowCommand() *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:     "show RESULTS",
		Short:   "Print a result document as tables",
		Example: "  decubectl benchmark show results.json --markdown",
		Args:    wants(1, 1, "one result document"),
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := readResults(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return d.Write(a.stdout)
			}
			format := bench.Plain
			if markdown {
				format = bench.Markdown
			}
			return d.Print(a.stdout, format)
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print Markdown")
	return cmd
}

func readResults(path string) (*bench.Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading benchmark results: %w", err)
	}
	defer file.Close()
	d, err := bench.Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
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
