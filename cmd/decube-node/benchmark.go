package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/node/consensusbench"
)

// benchmarkFlags are the flags of the hidden benchmark commands.
type benchmarkFlags struct {
	consensusbench.Config

	fault              string
	timeout            time.Duration
	cpuProfile, allocs string
}

// newBenchmarkCommand returns what decubectl benchmark runs where a network stack
// is needed, which decubectl does not have.
func newBenchmarkCommand() *cobra.Command {
	f := benchmarkFlags{Config: consensusbench.Config{Validators: 4, Clients: 100, Transactions: 1000, Payload: 1000}}
	cmd := &cobra.Command{
		Use:   "consensus",
		Short: "Measure validators in this process",
		Long: `consensus runs validators in this process, each with a host and files of its own, and
prints what it measured as one JSON object. decubectl benchmark consensus uses it, and
puts the machine and its limits beside the figures.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Dir, "dir", "", "make the validators' directories below this one")
	flags.IntVar(&f.Validators, "validators", f.Validators, "number of validators")
	flags.IntVar(&f.Clients, "concurrency", f.Clients, "clients that wait for their transactions at a time")
	flags.IntVar(&f.Transactions, "transactions", f.Transactions, "transactions in all")
	flags.IntVar(&f.Payload, "payload", f.Payload, "bytes of each transaction's record")
	flags.DurationVar(&f.RTT, "rtt", 0, "round trip between validators")
	flags.StringVar(&f.fault, "fault", string(consensusbench.FaultNone), "none, crash, slow or kill-leader")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Minute, "give up after this time")
	flags.StringVar(&f.cpuProfile, "cpuprofile", "", "write a CPU profile of the whole process to this file")
	flags.StringVar(&f.allocs, "memprofile", "", "write a profile of allocations to this file")
	group := &cobra.Command{
		Use: "benchmark", Short: "Measure what needs a network stack", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	group.AddCommand(cmd)
	return group
}

func (f *benchmarkFlags) run(cmd *cobra.Command) (err error) {
	defer tuneMemory(f.Validators)() // as so many daemons do
	dir, err := os.MkdirTemp(f.Dir, "decube-consensus-")
	if err != nil {
		return fmt.Errorf("making scratch space: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg := f.Config
	cfg.Dir, cfg.Fault = dir, consensusbench.Fault(f.fault)
	stop, err := f.profile()
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer release()
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("not done after %v", f.timeout))
	defer cancel()
	m, err := consensusbench.Run(ctx, cfg)
	if err = errors.Join(err, stop()); err != nil {
		return err
	}
	return json.NewEncoder(cmd.OutOrStdout()).Encode(m)
}

// profile begins the profiles that were asked for; what it returns writes them.
func (f *benchmarkFlags) profile() (stop func() error, err error) {
	var cpu *os.File
	if f.cpuProfile != "" {
		if cpu, err = os.Create(f.cpuProfile); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, errors.Join(err, cpu.Close())
		}
	}
	return func() error {
		var errs []error
		if cpu != nil {
			pprof.StopCPUProfile()
			errs = append(errs, cpu.Close())
		}
		if f.allocs != "" {
			errs = append(errs, writeAllocs(f.allocs))
		}
		return errors.Join(errs...)
	}, nil
}

func writeAllocs(path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	runtime.GC() // the profile is as of the last collection
	return pprof.Lookup("allocs").WriteTo(file, 0)
}
