package sim

import (
	"fmt"
	"io"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
)

// Config is one run. Everything that is not in it follows from the seed. Configs are
// drawn by a [Profile], which may leave fields as they are for tests to set.
type Config struct {
	Seed    uint64
	Profile string

	// Validators is the size of the first committee, whose members are the first nodes.
	// Candidates come next, which may become validators. Followers are the last.
	Validators, Candidates, Followers int

	Core   pbft.Config // the times; all else follows from Params
	Params genesis.Params
	// MaxBatch and BatchTimeout are the drivers'.
	MaxBatch     int
	BatchTimeout Time
	// TransferAfter, KeepBlocks, StateEvery and StateLife are the drivers'.
	TransferAfter, KeepBlocks uint64
	StateEvery                int
	StateLife                 Time
	// SegmentSize and Segments are those of the logs.
	SegmentSize int64
	Segments    int

	// GST is when faults end and the network settles; Load is for how long clients go on
	// after it.
	GST, Load Time
	// Before and After are the network before and after GST.
	Before, After Network
	// Work is how long jobs take at most.
	Work Work

	Faults  Faults
	Clients []Client
	// Faulty are nodes that bend what they send.
	Faulty []Fault
	// Twins are validators whose keys run twice, the second ones on nodes behind all
	// others. Fork has them be more than the validators withstand, with nobody to keep
	// one of two out: the ledger may fork, and it must be told whose fault that is.
	Twins []int
	Fork  bool
	// Late are nodes that start for the first time at GST.
	Late []int
	// Votes are changes of the validators that the validators vote for, at times that are
	// spread over the time before GST.
	Votes []Change

	// VotesAfter has Votes spread over the load after GST instead.
	VotesAfter bool

	// Wrong are wall clocks that are wrong until GST, or WrongForGood.
	Wrong        []WrongClock
	WrongForGood bool

	// Probe kills the leader when all is calm, to see how soon another one leads.
	Probe bool
	// Within, unless it is 0, is how long any request may wait under load after GST.
	Within Time
	// Far says that timeouts must grow after GST: good leaders are given up until they
	// have. Learned has that be found out once, and not in each epoch anew.
	Far, Learned bool
	// Bounded has it looked at after each step how much nodes hold, and not now and then.
	Bounded bool
	// Floor has slow leaders be replaced within a few periods of measurement.
	Floor bool

	// Bug is planted to see whether the oracle finds it.
	Bug *Bug
	// Trace, unless it is nil, is written while the run goes on.
	Trace io.Writer
}

// Work is the longest time that a batch of jobs takes in each lane.
type Work struct{ Log, Store, Sync, Exec, Judge, Votes, Txs, Chain Time }

// Faults are how many of each kind happen before GST.
type Faults struct {
	Crashes, CrashAll       int // at one of the next boundaries of a node, or of all
	Leaders                 int // leaders that are killed
	Blackouts, Spared       int // how often everybody goes down but the node Spared, if there is one
	Pauses, Clocks          int
	Partitions, Flaps       int
	FullDisks, FailedSyncs  int
	Wipes, StaleDisks       int
	LostArchives            int
	Rots, Lies              int     // disks that flip a bit of a log, or say that they have synced what they have not
	Rounds                  int     // divide the time before GST, each with other links cut
	Groups                  int     // into which each round divides the nodes, 0 for single links
	Links                   float64 // share of the links that is cut then
	MaxDown                 Time
	MaxPartition, MaxPaused Time
	MaxSkew                 Time // of wall clocks
}

// Client is how one client behaves.
type Client struct {
	// Every is the mean time between two requests, Ahead how many it may have open.
	Every Time
	Ahead int
	// Copies is how many nodes get each request at once.
	Copies int
	// Invalid is the share of requests that are no good, which are sent besides the good
	// ones; Duplicate the share of committed ones that are sent again.
	Invalid, Duplicate float64
	// Large has its records have up to 24 KiB.
	Large bool
	// Lonely has each request sent once, to the node Faults.Spared.
	Lonely bool
}

// Fault is a faulty node.
type Fault struct {
	Node     int
	Strategy string
}

// Change is a change of the validators: Node is added, or removed. A node that is one
// already and is added takes its own place anew, which it does alone.
type Change struct {
	Node   int
	Remove bool
}

// WrongClock is a wall clock that is wrong for long.
type WrongClock struct {
	Node int
	By   Time
}

// Corrupt makes as many of the first validators faulty as they withstand, all with one
// strategy, in place of those that were drawn. It returns an error for a strategy that
// does not exist.
func (c *Config) Corrupt(strategy string) error {
	if strategyOf(strategy) == nil {
		return fmt.Errorf("no strategy %q", strategy)
	}
	c.Faulty = nil
	for i := range faulty(c.Validators) {
		c.Faulty = append(c.Faulty, Fault{(int(c.Seed%16) + i) % c.Validators, strategy})
	}
	return nil
}
