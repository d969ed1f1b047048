package sim

import (
	"fmt"
	"io"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/testnet/sim/adversary"
)

// Config is one run. Everything that is not in it follows from the seed. Configs
// are drawn by a [Profile], which may leave fields as they are for tests to set.
type Config struct {
	Seed    uint64
	Profile string

	// Replicas is the size of the first committee; Identities is how many keys there
	// are, for committees to come. Committees are asked for one after the other.
	Replicas   int
	Identities int
	Committees []members
	// EpochLength is the least number of blocks in an epoch.
	EpochLength uint64

	Core pbft.Config
	// MaxBatch is how many requests fit into a block.
	MaxBatch int
	// KeepBlocks is how many blocks a store keeps, 0 for all of them.
	KeepBlocks int

	// GST is when faults end and the network settles; Load is for how long clients
	// go on after it.
	GST, Load Time
	// Before and After are the network before and after GST.
	Before, After Network
	// Fsync and Store are the longest times that writing the log and the store take.
	Fsync, Store Time

	Faults  Faults
	Clients []Client
	// Faulty are the faulty replicas, Twins those that run twice with one key.
	Faulty []Fault
	Twins  []int

	// Ed25519 has messages signed as in production: slowly.
	Ed25519 bool
	// Fork allows more faulty replicas than a committee withstands: the ledger may
	// fork, and the evidence must say whose fault it is.
	Fork bool
	// Within, unless it is 0, is how long any request may wait under load after GST.
	Within Time
	// Far says that timeouts must grow after GST: good leaders are given up until
	// they have.
	Far bool
	// Floor has slow leaders be replaced within a few periods of measurement.
	Floor bool
	// Probe stops a leader when all is calm, to see that timeouts are short again.
	Probe bool

	// Renewals are how many new epochs of the same committee are asked for, at random
	// times before GST; RenewedAfter has it be after GST, while clients go on.
	Renewals     int
	RenewedAfter bool
	// WrongClocks are wrong from the beginning until GST, or WrongForGood.
	WrongClocks  []WrongClock
	WrongForGood bool
	// Learned has timeouts be found out once, and not in each epoch anew.
	Learned bool

	// Bug is planted to see whether the oracle finds it.
	Bug *Bug
	// Trace, unless it is nil, is written while the run goes on.
	Trace io.Writer
}

// Faults are how many of each kind happen before GST.
type Faults struct {
	Leaders int // leaders that are killed
	// Blackouts stop everybody but the node Spared for a while.
	Blackouts, Spared    int
	Crashes, CrashAll    int
	Pauses, Clocks       int
	Partitions, Flaps    int
	FullDisks            int
	BitFlips, LostFsyncs int
	StaleDisks, Wipes    int
	// Rounds divide the time before GST, each with a partition into Groups of its own.
	// With no groups, each direction is cut with probability Links.
	Rounds, Groups          int
	Links                   float64
	MaxDown                 Time
	MaxPartition, MaxPaused Time
}

// Client is how one client behaves.
type Client struct {
	// Every is the mean time between two requests, Ahead how many it may have open.
	Every Time
	Ahead int
	// Copies is how many nodes get each request at once.
	Copies int
	// Invalid is the share of requests with a wrong signature or nonce, which are
	// sent besides the good ones; Duplicate the share of executed ones sent again.
	Invalid, Duplicate float64
	// Lonely has all requests sent once, to one node: Faults.Spared.
	Lonely bool
}

// Fault is a faulty replica.
type Fault struct {
	Identity int
	Strategy string
}

// WrongClock is a clock that is wrong for long.
type WrongClock struct {
	Identity int
	By       Time
}

// Corrupt makes as many replicas faulty as the first committee withstands, all with
// one strategy, in place of those that were drawn. It returns an error for a
// strategy that does not exist.
func (c *Config) Corrupt(strategy string) error {
	if adversary.New(strategy) == nil {
		return fmt.Errorf("no strategy %q", strategy)
	}
	c.Faulty = nil
	for i := range maxFaulty(c.Replicas) {
		who := (int(c.Seed%16) + i) % c.Replicas
		c.Faulty = append(c.Faulty, Fault{who, strategy})
	}
	return nil
}
