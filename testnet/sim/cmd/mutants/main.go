// Command mutants plants each bug of testnet/sim/mutants into a copy of the source and
// demands that the simulator finds it within the number of seeds that it states, and
// that the source as it is passes with the very same seeds.
//
//	go run ./testnet/sim/cmd/mutants               all of them
//	go run ./testnet/sim/cmd/mutants no-locks      one of them
//
// It prints a line when one is done, a table in the end, and exits with 1 when any was
// missed, and with 2 when it could not begin.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/decube/decube/testnet/sim/mutants"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	missed, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if missed > 0 {
		os.Exit(1)
	}
}

// row is what became of a mutant.
type row struct {
	mutants.Mutant
	found mutants.Finding
	err   error
	took  time.Duration
}

// run tries the mutants of these names, or all, and returns how many were not found as
// they should be.
func run(ctx context.Context, names []string, out io.Writer) (missed int, err error) {
	chosen, err := choose(names)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return 0, fmt.Errorf("making a directory for the copies: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system clears what is left of temporary files
	harness, err := mutants.NewHarness(ctx, dir)
	if err != nil {
		return 0, err
	}
	var rows []row
	for i := range chosen {
		began := time.Now()
		r := row{Mutant: chosen[i]}
		r.found, r.err = harness.Find(ctx, &chosen[i])
		if ctx.Err() != nil {
			return missed, fmt.Errorf("running mutant %s: %w", r.Name, ctx.Err())
		}
		r.took = time.Since(began)
		if r.err != nil {
			missed++
			fmt.Fprintln(out, r.err)
		} else {
			fmt.Fprintf(out, "mutant %s: found\n", r.Name)
		}
		rows = append(rows, r)
	}
	return missed, table(out, rows)
}

// choose returns the mutants of these names, or all when there are none.
func choose(names []string) ([]mutants.Mutant, error) {
	all, err := mutants.All()
	if err != nil || len(names) == 0 {
		return all, err
	}
	var chosen []mutants.Mutant
	for _, name := range names {
		i := slices.IndexFunc(all, func(m mutants.Mutant) bool { return m.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no mutant %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// table prints all rows, and how many mutants were found.
func table(out io.Writer, rows []row) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nMUTANT\tPROFILE\tSEEDS\tAT SEED\tRULE\tOUTCOME\tTIME")
	found := 0
	for i := range rows {
		r := &rows[i]
		seed, rule, outcome := "-", "-", "MISSED"
		if r.found.Rule != "" {
			seed, rule = fmt.Sprint(r.found.Seed), r.found.Rule
		}
		if r.err == nil {
			outcome = "found"
			found++
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%v\n", r.Name, r.Profile, r.Seeds, seed, rule, outcome, r.took.Round(100*time.Millisecond))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	fmt.Fprintf(out, "%d of %d mutants found\n", found, len(rows))
	return nil
}
