// Package consensusbench measures a ledger: validators in one process that are
// otherwise what decube-node runs. Each has a libp2p host of its own on loopback
// TCP, streams of protocols/consensus to the others, a log that is synced before
// anything is said, and an archive on disk.
//
//	clients ──> ledger ── frames ── [delays, faults] ── protocols/consensus ── TCP
//	              │
//	        log, archive
//
// Transactions are signed before the clock starts, for clients have machines of
// their own; each client hands its own in at one validator, the next when the one
// before is committed.
package consensusbench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// Fault is what goes wrong during a run.
type Fault string

// The faults.
const (
	// FaultNone is no fault.
	FaultNone Fault = "none"
	// FaultCrash is a validator that is down all the time, not the leader.
	FaultCrash Fault = "crash"
	// FaultSlow is a leader that holds its proposals back, each to just under the
	// timeouts, once half of the transactions are committed.
	FaultSlow Fault = "slow"
	// FaultKillLeader is a leader that goes away without a word once half of the
	// transactions are committed.
	FaultKillLeader Fault = "kill-leader"
)

// Config says what to run.
type Config struct {
	Dir          string // the validators' directories are made in it
	Validators   int
	Clients      int
	Transactions int           // in all
	Payload      int           // bytes of each transaction's record
	RTT          time.Duration // between validators; 0 for what loopback takes
	Fault        Fault
}

// maxTransactions bounds what is signed beforehand and kept in memory.
const maxTransactions = 10_000_000

// Validate checks the bounds.
func (c Config) Validate() error {
	switch {
	case c.Validators < 1 || c.Validators > quorum.MaxReplicas:
		return config.Invalid("validators", c.Validators, "must be from 1 to %d", quorum.MaxReplicas)
	case c.Transactions < 1 || c.Transactions > maxTransactions:
		return config.Invalid("transactions", c.Transactions, "must be from 1 to %d", maxTransactions)
	case c.Clients < 1 || c.Clients > c.Transactions:
		return config.Invalid("concurrency", c.Clients, "must be from 1 to the number of transactions, %d", c.Transactions)
	case c.Payload < 1 || c.Payload > tx.MaxValue:
		return config.Invalid("payload-size", c.Payload, "must be from 1 to %d bytes", tx.MaxValue)
	case c.RTT < 0 || c.RTT > 10*time.Second:
		return config.Invalid("rtt", c.RTT, "must be from 0 to 10s")
	}
	switch c.Fault {
	case FaultNone:
	case FaultCrash, FaultSlow, FaultKillLeader:
		if c.Validators < 4 {
			return config.Invalid("fault", c.Fault, "must be none with %d validators: it takes 4 to bear a fault", c.Validators)
		}
	default:
		return config.Invalid("fault", c.Fault, "must be none, crash, slow or kill-leader")
	}
	return nil
}

// Run measures one run and deletes nothing: Dir is the caller's.
func Run(ctx context.Context, cfg Config) (_ bench.Measured, err error) {
	if err := cfg.Validate(); err != nil {
		return bench.Measured{}, err
	}
	s, err := newSwarm(cfg)
	if err != nil {
		return bench.Measured{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(ctx); err != nil {
		return bench.Measured{}, err
	}
	leader, err := s.warmUp(ctx)
	if err != nil {
		return bench.Measured{}, err
	}
	work, err := s.sign()
	if err != nil {
		return bench.Measured{}, err
	}
	down := -1
	if cfg.Fault == FaultCrash {
		down = (leader + 1) % len(s.all)
		if err := s.all[down].kill(); err != nil {
			return bench.Measured{}, err
		}
	}
	entries := s.entries(leader, down)
	runtime.GC()
	if err := bench.Settle(cfg.Dir); err != nil {
		return bench.Measured{}, err
	}
	w, err := bench.Watch(bench.Self())
	if err != nil {
		return bench.Measured{}, err
	}
	before := s.meter.read(s.height())
	l := &load{swarm: s, leader: leader, work: work, entries: entries}
	if err := l.run(ctx); err != nil {
		return bench.Measured{}, err
	}
	sample, err := w.Sample()
	if err != nil {
		return bench.Measured{}, err
	}
	m := bench.Measured{Sample: sample, Values: l.values(sample)}
	s.meter.read(s.height()).since(before).values(cfg, m.Values)
	return m, nil
}

// failed says at which validator something failed.
func failed(v *validator, what string, err error) error {
	return fmt.Errorf("%s at validator %d: %w", what, v.index, err)
}
