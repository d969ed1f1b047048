package follow

import "time"

// Bounds in bytes of what is held at a time, counted before it is asked for.
const (
	// Fetched bounds the blocks that are on their way, not verified, or not applied.
	Fetched = 16 << 20
	// StateInFlight bounds the chunks of a state that are on their way or being added.
	StateInFlight = 32 << 20
	// MaxHead and MaxChunk are the largest answers to Head and Chunk.
	MaxHead  = 96 << 10
	MaxChunk = 4 << 20
)

// Bounds in number.
const (
	// MaxSources is how many sources are known at a time; further ones are not used.
	MaxSources = 16
	// StripeBlocks is how many blocks one source is asked for at a time.
	StripeBlocks = 32
	// stripes is how many stripes are under way at a time, and together how many
	// sources are asked for the same piece at most.
	stripes  = 3
	together = 3
)

// Times. Those that are compared with a source's delay are what one source can cost.
const (
	// Look is how often what is under way is looked at.
	Look = 50 * time.Millisecond
	// Poll is the time between two questions for a head, each to another source.
	Poll = 500 * time.Millisecond
	// HeadTimeout is how long a source has for its head.
	HeadTimeout = 2 * time.Second
	// SlowAfter is how long a source may be slower than SlowRate, or than a quarter of
	// the fastest, before another one is asked for the same.
	SlowAfter = 2 * time.Second
	// SlowRate is in bytes a second.
	SlowRate = 64 << 10
	// LateFactor is how many times as long as the other source's last stripe one may
	// take before another is asked for the same.
	LateFactor = 4
	// Patience is how long a piece may take, however fast bytes come, before another
	// source is asked for it too. It doubles when all have been asked, up to MaxPatience.
	Patience    = 10 * time.Second
	MaxPatience = 5 * time.Minute
	// TipAfter is how long a source that streams blocks has for one whose header
	// another has shown.
	TipAfter = time.Second
	// StalledAfter is how long a replica that votes may be behind without moving.
	StalledAfter = 2 * time.Second
	// MinBackoff and MaxBackoff bound how long a source that failed is left alone, which
	// doubles each time; LieBackoff is the least after a lie.
	MinBackoff = time.Second
	LieBackoff = time.Minute
	MaxBackoff = 5 * time.Minute
	// Destitute is how long a follower waits that has nobody left to ask before it asks
	// one again that has failed and not lied.
	Destitute = 2 * time.Second
)

// forgiven is how many good answers make up for a failure.
const forgiven = 8

// abundance is how many failures in a row show that a source does not have what it
// says.
const abundance = 3

// Config says what all depends on.
type Config struct {
	// TransferAfter is how many blocks the ledger may be ahead before the state at a
	// checkpoint is fetched in place of the blocks.
	TransferAfter uint64
	// LargestBlock is the most bytes of a block as peers send it.
	LargestBlock int
}

// share returns how many bytes a question for blocks reserves, and after how many of
// them it ends or pauses: the item that reaches the latter may be as large as a block.
func (c *Config) share() (reserved, until int) {
	reserved = min(Fetched, max(4<<20, 2*c.LargestBlock))
	return reserved, reserved - c.LargestBlock
}
