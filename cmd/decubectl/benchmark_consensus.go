package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/bench/suite"
	"github.com/decube/decube/internal/config"
)

// benchmarkConsensusOptions are the inputs of benchmark consensus. Clients is set to each
// of concurrency in turn.
type benchmarkConsensusOptions struct {
	benchmarkOptions
	suite.Consensus

	payload     string
	concurrency []int
}

func newBenchmarkConsensusCommand(e *env) *cobra.Command {
	o := new(benchmarkConsensusOptions)
	cmd := &cobra.Command{
		Use:   "consensus",
		Short: "Measure committing transactions to a ledger",
		Long: `consensus measures a ledger of its own, whose validators all run on this machine in one
process, with real connections and real disks: the time from handing a signed
transaction in until it is committed, and how many are committed in a second. Each of
--concurrency clients hands in one transaction after another. With a fault,
crash means that one validator is down, slow that the leader holds proposals back from
half way on, and kill-leader that it is gone from half way on.`,
		Example: `  decubectl benchmark consensus --transactions 1000 --payload-size 1KB --validators 4
  decubectl benchmark consensus --transactions 60000 --concurrency 4000 --output results.json
  decubectl benchmark consensus --transactions 50 --concurrency 1 --rtt 100ms
  decubectl benchmark consensus --transactions 20000 --fault kill-leader`,
		Args: noArgs,
		RunE: runs(e, o.parse, o.run),
	}
	o.bind(cmd, "", 3)
	flags := cmd.Flags()
	flags.IntVar(&o.Transactions, "transactions", 1000, "transactions of each sample")
	flags.StringVar(&o.payload, "payload-size", "1KB", "length of the record that each transaction puts")
	flags.IntVar(&o.Validators, "validators", 4, "number of validators")
	flags.IntSliceVar(&o.concurrency, "concurrency", []int{1, 100}, "clients that wait for their transactions at a time; each number is measured")
	flags.DurationVar(&o.RTT, "rtt", 0, "round trip between validators, such as 100ms")
	flags.StringVar(&o.Fault, "fault", "none", "none, crash, slow or kill-leader")
	return cmd
}

func (o *benchmarkConsensusOptions) parse(args []string) error {
	if _, err := oneOf("fault", o.Fault, "none", "crash", "slow", "kill-leader"); err != nil {
		return err
	}
	var err error
	if o.Payload, err = config.ParseSize(o.payload); err != nil {
		return usageError("--payload-size: %w", err)
	}
	if err := o.check(); err != nil {
		return err
	}
	return o.benchmarkOptions.parse(args)
}

// check refuses what decube-node would refuse, before limits are measured.
func (o *benchmarkConsensusOptions) check() error {
	switch {
	case o.Validators < 1:
		return usageError("--validators is %d, the least is 1", o.Validators)
	case o.Fault != "none" && o.Validators < 4:
		return usageError("--fault %s: %d validators bear none, it takes 4", o.Fault, o.Validators)
	case o.Transactions < 1:
		return usageError("--transactions is %d, the least is 1", o.Transactions)
	case o.Payload < 1 || o.Payload > 64<<10:
		return usageError("--payload-size is %d bytes, a record has 1 to %d", o.Payload, 64<<10)
	case o.RTT < 0 || o.RTT > 10*time.Second:
		return usageError("--rtt is %v, must be from 0 to 10s", o.RTT)
	case len(o.concurrency) == 0:
		return usageError("--concurrency needs a number of clients")
	}
	for _, n := range o.concurrency {
		if n < 1 || n > o.Transactions {
			return usageError("--concurrency is %d, must be from 1 to the number of transactions, %d", n, o.Transactions)
		}
	}
	return nil
}

func (o *benchmarkConsensusOptions) run(ctx context.Context, e *env) error {
	return o.measure(ctx, e, func(s *suite.Suite) error {
		c := o.Consensus
		for _, c.Clients = range o.concurrency {
			if err := s.Consensus(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
}
