// Command sim explores and replays runs of the simulator of whole ledger nodes.
//
//	go run ./testnet/sim/cmd/sim -runs 1000                  explore all profiles
//	go run ./testnet/sim/cmd/sim -seed 7 -profile crash -v   replay one run
//
// Runs that break a rule are printed with their last events, or, for programs, as one
// JSON object that names them all, the lowest seed first; up to there the seeds were
// tried one by one, so that the first is the same whatever the number of workers. It
// exits with 1 when there was one, and with 2 when it could not run.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	o := options{out: os.Stdout}
	flag.Uint64Var(&o.seed, "seed", 1, "the first seed")
	flag.IntVar(&o.runs, "runs", 1, "how many seeds to run")
	flag.StringVar(&o.profile, "profile", "all", "the profile of the runs, or all")
	flag.StringVar(&o.strategy, "strategy", "", "the strategy of all faulty nodes, instead of those drawn")
	flag.BoolVar(&o.json, "json", false, "write one JSON object instead of text")
	flag.StringVar(&o.bug, "bug", "", "a fault to plant")
	flag.BoolVar(&o.verbose, "v", false, "write every event of the runs")
	flag.BoolVar(&o.each, "each", false, "write a line for each run")
	flag.IntVar(&o.workers, "workers", 0, "runs at a time; 0 means one for each processor")
	flag.IntVar(&o.failures, "failures", 1, "stop after so many runs that break a rule")
	flag.BoolVar(&o.brief, "brief", false, "write no events of runs that break a rule")
	flag.Parse()
	failed, err := o.explore()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}
