package suite

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/decube/decube/internal/bench"
)

// Consensus is one way to put a ledger to work.
type Consensus struct {
	Validators   int
	Clients      int
	Transactions int
	Payload      int64 // bytes of each transaction's record
	RTT          time.Duration
	Fault        string // none, crash, slow or kill-leader
	Samples      int    // 0 for Config.Iterations
}

// saturating is from how many clients on the validators always have enough to do.
const saturating = 1000

// consensusNote is what a reader of the figures must know.
const consensusNote = "all validators in one process on this machine's cores, each with its own libp2p host on loopback TCP, " +
	"log and archive, synced; transactions are signed before the clock starts, and the record alone is of the given size; " +
	"a client hands in its next transaction when the one before is committed; counts of messages are of all validators together"

// Consensus measures a ledger, every sample with new validators. What needs a
// network stack runs in decube-node. The figures beside the time of the whole are
// medians of the samples.
func (s *Suite) Consensus(ctx context.Context, c Consensus) error {
	if err := s.measureLimits(ctx, limitsOfLedger); err != nil {
		return err
	}
	o := s.operation(bench.Operation{
		Name: "ledger submit", Data: fmt.Sprintf("%d of %s", c.Transactions, humanize.Bytes(uint64(c.Payload))),
		Mode: c.mode(), Note: consensusNote, Targets: c.targets(),
	})
	values := map[string][]float64{}
	for range cmp.Or(c.Samples, s.cfg.Iterations) {
		if err := bench.Settle(s.dir); err != nil {
			return err
		}
		_, out, err := bench.Run(ctx, bench.Command{Path: s.cfg.Node, Args: c.arguments(s.dir)})
		if err != nil {
			return err
		}
		var m bench.Measured
		if err := json.Unmarshal(out, &m); err != nil {
			return fmt.Errorf("decube-node benchmark consensus: reading its output: %w", err)
		}
		o.Samples = append(o.Samples, m.Sample)
		for name, v := range m.Values {
			values[name] = append(values[name], v)
		}
	}
	o.Values = map[string]float64{}
	for name, v := range values {
		o.Values[name] = bench.Median(v)
	}
	return nil
}

func (c Consensus) arguments(dir string) []string {
	return []string{
		"benchmark", "consensus", "--dir", dir, "--validators", strconv.Itoa(c.Validators), "--concurrency", strconv.Itoa(c.Clients),
		"--transactions", strconv.Itoa(c.Transactions), "--payload", strconv.FormatInt(c.Payload, 10), "--rtt", c.RTT.String(), "--fault", c.Fault,
	}
}

// mode names what tells one way from another.
func (c Consensus) mode() string {
	mode := fmt.Sprintf("%d validators, %d clients", c.Validators, c.Clients)
	if c.Clients == 1 {
		mode = fmt.Sprintf("%d validators, 1 client", c.Validators)
	}
	if c.RTT > 0 {
		mode += fmt.Sprintf(", RTT %v", c.RTT)
	}
	if c.Fault != noFault {
		mode += ", " + faults[c.Fault]
	}
	return mode
}

const noFault = "none"

// faults are the faults as tables call them.
var faults = map[string]string{"crash": "one down", "slow": "leader turns slow", "kill-leader": "leader killed"}

// Transactions of the whole suite's runs. The larger ones take about five seconds
// where 10,000 are committed in one.
const (
	fewTransactions    = 1000
	someTransactions   = 20_000
	manyTransactions   = 60_000
	distanceRoundTrips = 50
	saturatedClients   = 2000
	ledgerSamples      = 3 // at most: there are ten ways
)

// Ledger measures the ledger in all the ways that have targets, and under faults.
func (s *Suite) Ledger(ctx context.Context) error {
	for _, c := range []Consensus{
		{Clients: 1, Transactions: fewTransactions, Payload: 256},
		{Clients: 100, Transactions: someTransactions, Payload: 256},
		{Clients: saturatedClients, Transactions: manyTransactions, Payload: 256},
		{Clients: 1, Transactions: fewTransactions, Payload: 1000},
		{Clients: 100, Transactions: someTransactions, Payload: 1000},
		{Clients: saturatedClients, Transactions: manyTransactions, Payload: 1000},
		{Clients: 1, Transactions: distanceRoundTrips, Payload: 256, RTT: 100 * time.Millisecond},
		{Clients: 100, Transactions: someTransactions, Payload: 256, Fault: "kill-leader"},
		{Clients: saturatedClients, Transactions: manyTransactions, Payload: 256, Fault: "crash"},
		{Clients: saturatedClients, Transactions: manyTransactions, Payload: 256, Fault: "slow"},
	} {
		c.Validators, c.Samples = 4, min(ledgerSamples, s.cfg.Iterations)
		if c.Fault == "" {
			c.Fault = noFault
		}
		if err := s.Consensus(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
