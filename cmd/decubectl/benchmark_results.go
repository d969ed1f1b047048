package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/bench"
)

// benchmarkCompareOptions are the inputs of benchmark compare, two files.
type benchmarkCompareOptions struct{ before, after string }

func newBenchmarkCompareCommand(e *env) *cobra.Command {
	o := new(benchmarkCompareOptions)
	return &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Tell what changed between two runs from noise",
		Long: `compare sets two result documents against each other. A difference is called a change
when a rank test finds that chance would show it less than once in twenty times.`,
		Example: "  decubectl benchmark compare before.json after.json",
		Args:    wants(2, 2, "two result documents"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *benchmarkCompareOptions) parse(args []string) error {
	o.before, o.after = args[0], args[1]
	return nil
}

func (o *benchmarkCompareOptions) run(_ context.Context, e *env) error {
	before, err := readResults(o.before)
	if err != nil {
		return err
	}
	after, err := readResults(o.after)
	if err != nil {
		return err
	}
	if why := bench.Incomparable(before, after); why != "" {
		e.warn("compare ratios rather than times: %s.", why)
	}
	comparisons := bench.Compare(before, after)
	if e.json {
		return printEach(e, comparisons, nil)
	}
	return bench.PrintComparison(e.stdout, comparisons, bench.Plain)
}

// benchmarkShowOptions are the inputs of benchmark show.
type benchmarkShowOptions struct {
	file     string
	markdown bool
}

func newBenchmarkShowCommand(e *env) *cobra.Command {
	o := new(benchmarkShowOptions)
	cmd := &cobra.Command{
		Use:     "show RESULTS",
		Short:   "Print a result document as tables",
		Example: "  decubectl benchmark show results.json --markdown",
		Args:    wants(1, 1, "one result document"),
		RunE:    runs(e, o.parse, o.run),
	}
	cmd.Flags().BoolVar(&o.markdown, "markdown", false, "print Markdown")
	return cmd
}

func (o *benchmarkShowOptions) parse(args []string) error {
	o.file = args[0]
	return nil
}

func (o *benchmarkShowOptions) run(_ context.Context, e *env) error {
	d, err := readResults(o.file)
	if err != nil {
		return err
	}
	if e.json {
		return d.Write(e.stdout)
	}
	format := bench.Plain
	if o.markdown {
		format = bench.Markdown
	}
	return d.Print(e.stdout, format)
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
