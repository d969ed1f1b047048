package driver

import (
	"errors"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

var (
	// ErrUndecided is returned with a transaction whose fate is not known.
	ErrUndecided = errors.New("not committed yet, and may still be")
	// ErrKeyInUse is why a replica does not vote whose key another process signs with.
	ErrKeyInUse = errors.New("key in use: another process signs with this key; stop that one, then start this one again")
	// ErrForked is why a peer does not vote any more that has seen two chains.
	ErrForked = errors.New("the ledger has forked: validators have signed two blocks that exclude each other; " +
		"no replica can tell which of the two chains goes on: their operators have to decide")
)

// Config is what a Driver is made with. It does not change.
type Config struct {
	Genesis *genesis.Genesis
	Core    pbft.Config // of Genesis
	Key     sig.Signer
	// MaxBatch is how many transactions a block has at most that this replica builds, and
	// BatchTimeout how long it may fill up for each block in flight.
	MaxBatch     int
	BatchTimeout time.Duration
	// Fanout is how many sources have one transaction of a follower's clients at a time.
	Fanout int
	// TransferAfter is how many blocks the ledger may be ahead before a state is fetched.
	TransferAfter uint64
	// KeepBlocks is how many blocks keep their bodies, 0 for all.
	KeepBlocks uint64
	// StateEvery is how many transactions are executed before the state is stored: what
	// many blocks change is then written once. After a start, as many are executed again at
	// most. 0 means DefaultStateEvery.
	StateEvery int
	// StateLife is how long a state is served after the next one was stored, as long as there
	// are no more than MaxStates: who fetches one has as much time for it. 0 means
	// DefaultStateLife.
	StateLife time.Duration
	// Seed is drawn from the system by whoever ships the driver.
	Seed [32]byte
}

// Recovered is what the disk holds, as a Driver begins.
type Recovered struct {
	Head *Head // all that log and archive together have
	// Stored is up to where the archive is durable.
	Stored uint64
	// Unstored is how many transactions come after the last block whose state is stored.
	Unstored int
	// Votes says that this peer may vote when it is a validator: it has a transport, and a
	// log that can be trusted. If it has a transport and no such log, Broken says why.
	Votes  bool
	Broken error
	// Memory is what the log adds up to, Decided the highest block that it has a decision
	// of, and Lost says that the log was lost. Memory is nil without Votes.
	Memory  *journal.Memory
	Decided uint64
	Lost    bool
	// Renewed is the block that has a renewal of the log, 0 for none.
	Renewed uint64
	// Renewals are those of the log, the latest last.
	Renewals []codec.Renewal
	// Stable is the last certified checkpoint, nil for none, and Checkpoints the stored
	// decisions above it at which a checkpoint is due, ascending.
	Stable      *pbft.Certificate
	Checkpoints []*pbft.Decision
	Fork        *Fork
}

// Seat is how a validator came to its place, as a state has it: By is the transaction that
// made it one or took its place anew the last time, and Since the block of that. Both are
// zero for a peer that is none, and for a validator of the genesis document.
type Seat struct {
	Since uint64
	By    tx.ID
}

// DefaultStateEvery has a start take part of a second.
const DefaultStateEvery = 20_000

const (
	// DefaultStateLife is enough for a state of 1 GiB at 2 MiB a second.
	DefaultStateLife = 10 * time.Minute
	// MaxStates bounds the states that are served, whatever their age: what is written
	// meanwhile stays on the disk. Of a ledger that orders 5,000 transactions a second they
	// are those of the last four minutes.
	MaxStates = 64
)

// tick is the unit of the core's time.
const tick = 10 * time.Millisecond
