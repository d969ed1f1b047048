package ledger

import (
	"fmt"
	"time"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Config is what an operator may set for a replica: the consensus section. The
// zero value is not usable; start from Default.
//
// Until a swarm has a quorum that is fast, patience is what keeps it from
// changing leaders for nothing: PreprepareTimeout, PrepareTimeout and
// CommitTimeout are what the timeouts of the three phases may grow to. They begin
// at a hundredth of that and double with every view change that fails.
type Config struct {
	PreprepareTimeout time.Duration // for a leader to propose what is waiting
	PrepareTimeout    time.Duration // for a proposal to be prepared
	CommitTimeout     time.Duration // for a prepared block to be committed

	MaxBatchSize int           // transactions of a block that this replica proposes
	BatchTimeout time.Duration // for a block to fill up while others are in flight

	MaxMessageSize  int64 // bytes of one message between validators
	GossipFanout    int   // peers that have one transaction of a follower's clients at a time
	ParallelWorkers int   // goroutines that verify signatures
	QueueSize       int   // transactions handed in that wait to be verified

	KeepBlocks int // blocks whose transactions stay in the archive, the last ones; 0 for all
}

// Default returns the shipped profile.
func Default() Config {
	return Config{
		PreprepareTimeout: 40 * time.Second,
		PrepareTimeout:    50 * time.Second,
		CommitTimeout:     50 * time.Second,
		MaxBatchSize:      2000,
		BatchTimeout:      10 * time.Millisecond,
		MaxMessageSize:    10 << 20,
		GossipFanout:      3,
		ParallelWorkers:   4,
		QueueSize:         10_000,
	}
}

// Validate checks the bounds.
func (c Config) Validate() error {
	for _, t := range []struct {
		name string
		d    time.Duration
	}{{"preprepare_timeout", c.PreprepareTimeout}, {"prepare_timeout", c.PrepareTimeout}, {"commit_timeout", c.CommitTimeout}} {
		if t.d < time.Second || t.d > 10*time.Minute {
			return config.Invalid(t.name, t.d, "must be from 1s to 10m")
		}
	}
	switch {
	case c.MaxBatchSize < 1 || c.MaxBatchSize > tx.MaxBatch:
		return config.Invalid("max_batch_size", c.MaxBatchSize, "must be from 1 to %d transactions", tx.MaxBatch)
	case c.BatchTimeout < 0 || c.BatchTimeout > time.Minute:
		return config.Invalid("batch_timeout", c.BatchTimeout, "must be from 0 to 1m")
	case c.MaxMessageSize < minMessage || c.MaxMessageSize > maxMessage:
		return config.Invalid("max_message_size", c.MaxMessageSize, "must be from %d to %d bytes: a block has up to %d", minMessage, maxMessage, tx.MaxBatchSize)
	case c.GossipFanout < 1 || c.GossipFanout > 32:
		return config.Invalid("gossip_fanout", c.GossipFanout, "must be from 1 to 32 peers")
	case c.ParallelWorkers < 1 || c.ParallelWorkers > 256:
		return config.Invalid("parallel_workers", c.ParallelWorkers, "must be from 1 to 256")
	case c.KeepBlocks != 0 && (c.KeepBlocks < minKeep || c.KeepBlocks > maxKeep):
		return config.Invalid("keep_blocks", c.KeepBlocks, "must be 0, for all, or from %d to %d blocks", minKeep, maxKeep)
	case c.QueueSize < 100 || c.QueueSize > 1_000_000:
		return config.Invalid("queue_size", c.QueueSize, "must be from 100 to 1000000")
	}
	return nil
}

// MaxMessageSize may be from a block with its envelope to what every peer takes.
const (
	minMessage = tx.MaxBatchSize + 64<<10
	maxMessage = 10 << 20
)

// KeepBlocks may be from what others need who are a little behind to what no ledger
// will have.
const (
	minKeep = 100
	maxKeep = 1 << 40
)

// tick is the unit of the core's time.
const tick = 10 * time.Millisecond

// growth is how many times the timeouts may grow beyond what they begin with.
const growth = 100

// core returns the core's configuration: what all replicas share is set later,
// from the genesis.
func (c Config) core() pbft.Config {
	p := pbft.Default()
	ticks := func(d time.Duration) uint64 { return max(1, uint64(d/growth/tick)) }
	p.PreprepareTimeout, p.PrepareTimeout, p.CommitTimeout = ticks(c.PreprepareTimeout), ticks(c.PrepareTimeout), ticks(c.CommitTimeout)
	p.MaxTimeout = uint64(max(c.PreprepareTimeout, c.PrepareTimeout, c.CommitTimeout) / tick)
	return p
}

// String returns the timeouts for logs.
func (c Config) String() string {
	return fmt.Sprintf("timeouts %v/%v/%v, batches of %d within %v", c.PreprepareTimeout, c.PrepareTimeout, c.CommitTimeout, c.MaxBatchSize, c.BatchTimeout)
}
