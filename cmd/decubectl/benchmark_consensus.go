package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/bench/suite"
	"github.com/decube/decube/internal/config"
)

func (a *app) benchmarkConsensusCommand() *cobra.Command {
	f := new(benchmarkFlags)
	c := suite.Consensus{}
	var payload string
	var clients []int
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
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := oneOf("fault", c.Fault, "none", "crash", "slow", "kill-leader"); err != nil {
				return err
			}
			var err error
			if c.Payload, err = config.ParseSize(payload); err != nil {
				return usageError("--payload-size: %w", err)
			}
			if err := checkConsensus(&c, clients); err != nil {
				return err
			}
			return f.run(cmd, a, func(ctx context.Context, s *suite.Suite) error {
				for _, c.Clients = range clients {
					if err := s.Consensus(ctx, c); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	f.add(cmd, "", 3)
	flags := cmd.Flags()
	flags.IntVar(&c.Transactions, "transactions", 1000, "transactions of each sample")
	flags.StringVar(&payload, "payload-size", "1KB", "length of the record that each transaction puts")
	flags.IntVar(&c.Validators, "validators", 4, "number of validators")
	flags.IntSliceVar(&clients, "concurrency", []int{1, 100}, "clients that wait for their transactions at a time; each number is measured")
	flags.DurationVar(&c.RTT, "rtt", 0, "round trip between validators, such as 100ms")
	flags.StringVar(&c.Fault, "fault", "none", "none, crash, slow or kill-leader")
	return cmd
}

// checkConsensus refuses what decube-node would refuse, before limits are measured.
func checkConsensus(c *suite.Consensus, clients []int) error {
	switch {
	case c.Validators < 1:
		return usageError("--validators is %d, the least is 1", c.Validators)
	case c.Fault != "none" && c.Validators < 4:
		return usageError("--fault %s: %d validators bear none, it takes 4", c.Fault, c.Validators)
	case c.Transactions < 1:
		return usageError("--transactions is %d, the least is 1", c.Transactions)
	case c.Payload < 1 || c.Payload > 64<<10:
		return usageError("--payload-size is %d bytes, a record has 1 to %d", c.Payload, 64<<10)
	case c.RTT < 0 || c.RTT > 10*time.Second:
		return usageError("--rtt is %v, must be from 0 to 10s", c.RTT)
	case len(clients) == 0:
		return usageError("--concurrency needs a number of clients")
	}
	for _, n := range clients {
		if n < 1 || n > c.Transactions {
			return usageError("--concurrency is %d, must be from 1 to the number of transactions, %d", n, c.Transactions)
		}
	}
	return nil
}
