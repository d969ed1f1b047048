package pbft

import (
	"fmt"

	"github.com/decube/decube/ledger/quorum"
)

// Config is what all epochs of one replica have in common. Times are in ticks.
// The zero value is not usable; start from Default.
type Config struct {
	Cluster Digest // digest of the genesis: signatures for one cluster are void in others

	// Window is how many blocks may be in flight above the last committed one.
	Window uint64
	// CheckpointInterval is the number of blocks between checkpoints. No proposal
	// is taken further than twice as many above the last certified one.
	CheckpointInterval uint64

	// PreprepareTimeout is how long a request may wait, while nothing is in
	// flight, for the leader to propose it; PrepareTimeout and CommitTimeout are
	// how long the oldest block in flight may take for its two phases. They double
	// with each view change that fails and shrink back while blocks commit, but
	// never below four times the time that a block has taken lately.
	PreprepareTimeout, PrepareTimeout, CommitTimeout uint64
	// MaxTimeout bounds the doubling.
	MaxTimeout uint64
	// ForwardAfter is how long a request may wait before it is sent to everybody.
	ForwardAfter uint64
	// CensorTimeout is how long the oldest request may wait in one view, even
	// while other requests commit.
	CensorTimeout uint64
	// FloorPeriod is the time over which a leader's throughput is measured while
	// requests are waiting. A leader that stays below 1/FloorDivisor of the best
	// period seen lately is replaced.
	FloorPeriod  uint64
	FloorDivisor uint64
	// ResendInterval is the time without progress after which a replica repeats
	// what it said about blocks in flight; IdleStatus the time between two reports
	// of a replica that has nothing in flight.
	ResendInterval, IdleStatus uint64
	// SyncDelay is how long a replica waits for what others say is committed
	// before it asks for it.
	SyncDelay uint64
}

// Default returns the shipped profile for ticks of 10 ms.
func Default() Config {
	return Config{
		Window:             8,
		CheckpointInterval: 128,
		PreprepareTimeout:  40,
		PrepareTimeout:     50,
		CommitTimeout:      50,
		MaxTimeout:         9000,
		ForwardAfter:       20,
		CensorTimeout:      1000,
		FloorPeriod:        300,
		FloorDivisor:       4,
		ResendInterval:     20,
		IdleStatus:         500,
		SyncDelay:          5,
	}
}

// MaxWindow bounds what one message can carry.
const MaxWindow = 64

// Validate checks the bounds, and does not change c.
func (c *Config) Validate() error {
	switch {
	case c.Window < 1 || c.Window > MaxWindow:
		return fmt.Errorf("window of %d blocks: must be 1 to %d", c.Window, MaxWindow)
	case c.CheckpointInterval < c.Window:
		return fmt.Errorf("checkpoint interval of %d blocks: must be at least the window, %d", c.CheckpointInterval, c.Window)
	case min(c.PreprepareTimeout, c.PrepareTimeout, c.CommitTimeout) < 1 || c.MaxTimeout < max(c.PreprepareTimeout, c.PrepareTimeout, c.CommitTimeout):
		return fmt.Errorf("timeouts of %d, %d and %d ticks: must be 1 to %d, the most they may double to",
			c.PreprepareTimeout, c.PrepareTimeout, c.CommitTimeout, c.MaxTimeout)
	case min(c.ForwardAfter, c.CensorTimeout, c.FloorPeriod, c.FloorDivisor, c.ResendInterval, c.IdleStatus, c.SyncDelay) < 1:
		return fmt.Errorf("intervals must be at least one tick, and the floor's divisor at least 1: %+v", *c)
	}
	return nil
}

// Start is where one epoch of one replica begins. A Replica lives for one epoch:
// the driver makes the next one from the certified last block of the one before,
// so that no record and no message of an old epoch can enter a new one.
type Start struct {
	Epoch     uint64
	Committee quorum.Committee
	Self      quorum.Replica
	// Sign signs with the replica's key. It must be deterministic.
	Sign func(statement []byte) Signature
	// Header is the block before the epoch's first: the genesis block, or the last
	// one of the epoch before.
	Header Header
	// Recovering is set for a replica whose log is gone, or an old one. It may have
	// voted in this epoch for things that it does not remember, and others may still
	// hold what it said: it takes part without a vote until the epoch is over, whatever
	// the records bind it to.
	Recovering bool
	// Carried is what the replica of the epoch before had learned about time, if
	// this process ran it. See [Replica.Carried].
	Carried Carried
}

// Carried is what a replica has learned about the time that things take. It goes
// from each epoch's replica to the next one's. If clocks began anew with each epoch,
// who ends epochs could have leaders judged by nothing, and a slow network would
// have to be learned again each time. Nothing that is voted for depends on it.
type Carried struct {
	Failed  uint64 // doublings of the timeouts
	Latency uint64 // of a block from PREPARE to commit: 8 times its mean of late, in ticks
	Best    uint64 // transactions committed in the best floor period of late
}

// leader returns the leader of a view.
func (s *Start) leader(view uint64) quorum.Replica { return Leader(s.Committee, s.Epoch, view) }

// Leader returns who leads a view of an epoch: replica (epoch + view) mod n. The
// epoch counts, so that each begins with another leader. If all began with replica
// 0, a faulty replica 0 could keep the lead by ending one epoch after the other.
func Leader(c quorum.Committee, epoch, view uint64) quorum.Replica {
	n := uint64(c.Size())
	return quorum.Replica((epoch%n + view%n) % n)
}
