package genesis

import (
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Params are the numbers that all replicas must share: with two values of one of
// them, two replicas would disagree on which blocks are valid, or on what a block
// does. The zero value is not usable; start from [DefaultParams].
type Params struct {
	// Window is how many blocks may be in flight above the last committed one.
	Window uint64
	// CheckpointInterval is the number of blocks between checkpoints.
	CheckpointInterval uint64
	// MaxBlockTransactions is the most transactions of one block.
	MaxBlockTransactions uint64
	// MaxBlockBytes is the most bytes of one block's transactions, encoded.
	MaxBlockBytes uint64
	// NonceWindow is how far ahead of an owner's lowest unused nonce another of
	// theirs may be.
	NonceWindow uint64
	// MaxSnapshotsPerOwner, MaxNamesPerOwner and MaxRecordsPerOwner bound how many
	// entries of a kind one owner holds at a time.
	MaxSnapshotsPerOwner uint64
	MaxNamesPerOwner     uint64
	MaxRecordsPerOwner   uint64
	// GrowthBytesPerDay is how many bytes transactions may add to the ledger in a day
	// of block time, a quarter of them at once; 0 is no bound, for ledgers whose users
	// trust each other. Package state says what a transaction adds.
	GrowthBytesPerDay uint64
}

// The bounds of Params.GrowthBytesPerDay other than 0. At the least, a quarter has
// room for several of the largest transactions, which could never be ordered
// otherwise; above the most, the bound would bound nothing.
const (
	MinGrowth = 4 << 20
	MaxGrowth = 1 << 38
)

// param is what is known of one field of Params.
type param struct {
	name     string // in the document, within "consensus"
	of       func(*Params) *uint64
	def      uint64
	min, max uint64
	none     bool // 0 is also allowed, and stands for no bound
}

// params are the fields in the order of the encoding, which is theirs in Params.
//
// MaxBlockBytes begins where the largest transaction fits, with room to spare.
var params = [...]param{
	{"window", func(p *Params) *uint64 { return &p.Window }, 8, 1, pbft.MaxWindow, false},
	{"checkpoint_interval", func(p *Params) *uint64 { return &p.CheckpointInterval }, 128, 1, 1 << 20, false},
	{"max_block_transactions", func(p *Params) *uint64 { return &p.MaxBlockTransactions }, 1000, 1, tx.MaxBatch, false},
	{"max_block_bytes", func(p *Params) *uint64 { return &p.MaxBlockBytes }, 1 << 20, 128 << 10, tx.MaxBatchSize, false},
	{"nonce_window", func(p *Params) *uint64 { return &p.NonceWindow }, 1024, 1, 1 << 16, false},
	{"max_snapshots_per_owner", func(p *Params) *uint64 { return &p.MaxSnapshotsPerOwner }, 100_000, 1, 1 << 32, false},
	{"max_names_per_owner", func(p *Params) *uint64 { return &p.MaxNamesPerOwner }, 1000, 1, 1 << 32, false},
	{"max_records_per_owner", func(p *Params) *uint64 { return &p.MaxRecordsPerOwner }, 10_000, 1, 1 << 32, false},
	{"growth_bytes_per_day", func(p *Params) *uint64 { return &p.GrowthBytesPerDay }, 2 << 30, MinGrowth, MaxGrowth, true},
}

// DefaultParams returns what a new ledger has unless it is told otherwise.
func DefaultParams() Params {
	var p Params
	for i := range params {
		*params[i].of(&p) = params[i].def
	}
	return p
}

// Validate returns ErrInvalid with the parameter that is out of bounds.
func (p *Params) Validate() error {
	for i := range params {
		q := &params[i]
		switch v := *q.of(p); {
		case v >= q.min && v <= q.max, v == 0 && q.none:
		case q.none:
			return invalid("consensus."+q.name, "%d, must be %d to %d, or 0 for no bound", v, q.min, q.max)
		default:
			return invalid("consensus."+q.name, "%d, must be %d to %d", v, q.min, q.max)
		}
	}
	if p.CheckpointInterval < p.Window {
		return invalid("consensus.checkpoint_interval", "%d, must be at least the window, %d", p.CheckpointInterval, p.Window)
	}
	return nil
}

// FrameRoom is how many bytes a message between validators may have besides a
// block's transactions: for a header, a certificate, a set of validators.
const FrameRoom = 64 << 10

// MaxFrame returns the most bytes that a message between validators may have.
func (p *Params) MaxFrame() int { return int(p.MaxBlockBytes) + FrameRoom }

// Fit returns ErrInvalid unless n validators can change the leader: the largest
// NEW-VIEW that they may need has to fit a message, or they would halt when it is
// needed most. A record of it has the same bytes as the message.
func (p *Params) Fit(n int) error {
	if need, most := pbft.MaxNewView(n, int(p.Window)), p.MaxFrame(); need > most {
		return invalid("consensus.max_block_bytes",
			"%d: a change of the leader among %d validators with a window of %d takes up to %d bytes, a message at most %d",
			p.MaxBlockBytes, n, p.Window, need, most)
	}
	return nil
}
