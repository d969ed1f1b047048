package driver

import (
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Effect is what a Step asks for: a closed set. Effects are handed to their lanes in
// their order. What must not happen before something is durable comes out of Step only
// when it is: whoever carries effects out holds nothing back.
type Effect interface{ effect() }

// The log's: one lane, in order.
type (
	// Append adds records to the log. With a Mark, they are made durable, with all before
	// them, and Durable says so. The lane may say so once for several.
	Append struct {
		Records []codec.LogRecord
		Mark    Mark // 0: nobody waits for them
	}
	// Renewed takes away the mark of a lost log, durably; it answers like Append.
	Renewed struct{ Mark Mark }
	// Disown marks the log as one that was lost, durably, and its renewals as ones of
	// before; it answers like Append.
	Disown struct{ Mark Mark }
	// Cut drops what the log need not have any more, now that the archive is durable up to
	// a block.
	Cut struct{ Stored uint64 }
)

// The archive's: one lane, in order, but for SyncStore.
type (
	// Store appends the next block. It answers with Archived.
	Store struct {
		Decision *pbft.Decision
		Block    *exec.Block
		// Stateless says not to store the state.
		Stateless bool
	}
	// SyncStore makes durable what is archived up to a block, beside the lane, and drops bodies
	// of blocks below Bodies then, 0 for none. It answers with Stored.
	SyncStore struct{ Seq, Bodies uint64 }
	// Certify keeps the certificate of the last stable checkpoint.
	Certify struct{ Cert *pbft.Certificate }
	// Prune lets go of the states before a block's, of none if it is 0, and then of what the
	// head's state has in memory and need not.
	Prune struct {
		Below uint64
		Head  *exec.Tip
	}
	// Keep stores what may prove something: *pbft.Evidence, *pbft.NewView or *Fork, which is
	// made durable, with the evidence that is found for it, and answered with Accused.
	Keep struct{ What any }
	// Install makes the state that was built the head. It answers with Installed.
	Install struct{ Job follow.JobID }
	// Load reads a block's body, if it has that root. It answers with Loaded.
	Load struct {
		Job  JobID
		Seq  uint64
		Root pbft.Digest
	}
)

// The rest of the work: each a lane.
type (
	// Committee says who orders blocks from now on, and whether this peer votes: with whom
	// the transport talks, and against whom CheckVotes verifies. Start is the last block
	// before the epoch. Without Voting, the transport talks to nobody.
	Committee struct {
		Epoch  uint64
		Set    genesis.ValidatorSet
		Start  pbft.Header
		Voting bool
	}
	// CheckVotes verifies messages of the epoch of the last Committee.
	CheckVotes struct {
		Job      JobID
		Messages []pbft.Message
	}
	// CheckTxs verifies signatures of transactions, and has those whose Fresh is set judged
	// on top of a block, as Judge does. Bodies says that a block waits for them.
	CheckTxs struct {
		Job    JobID
		Txs    []*tx.Transaction
		Fresh  []bool // nil for none
		On     *exec.Tip
		Time   int64
		Bodies bool
	}
	// CheckChain has heads, blocks and states from sources checked: follow.CheckHead,
	// follow.CheckBlocks, follow.Build, follow.AddChunk. One lane, in order.
	CheckChain struct{ Action follow.Action }
	// Execute carries transactions out on top of a block. One lane, in order.
	Execute struct {
		Job    JobID
		Parent *exec.Tip
		Task   Task
	}
	// Judge says of transactions whether they would apply as the first of the block after
	// a state.
	Judge struct {
		Job  JobID
		On   *exec.Tip
		Txs  []*tx.Transaction
		Time int64
	}
	// Peek reads the next nonce of an owner after a block.
	Peek struct {
		Job   JobID
		On    *exec.Tip
		Owner sig.PublicKey
	}
)

// Task is what Execute does: a closed set.
type Task interface{ task() }

type (
	// BuildBlock builds a block from candidates.
	BuildBlock struct {
		Limits     exec.Limits // a leader's own
		Candidates []*tx.Transaction
		Time       int64 // Unix milliseconds
	}
	// CheckBlock checks a block that a leader has proposed.
	CheckBlock struct {
		Offer exec.Offer
		Time  int64
	}
	// RedoBlock carries out a block that was fetched.
	RedoBlock struct{ Block *Fetched }
)

func (BuildBlock) task() {}
func (CheckBlock) task() {}
func (RedoBlock) task()  {}

// What goes out.
type (
	// Send sends a frame to validators.
	Send struct {
		To    []sig.PublicKey
		Class Class
		Frame codec.Frame
	}
	// Ask asks a source; its items and its end come back as events.
	Ask struct {
		Ask     AskID
		Source  string
		Request follow.Request
	}
	// Stop ends a question: nothing of it counts any more.
	Stop struct{ Ask AskID }
	// Credit lets a stream go on by so many bytes.
	Credit struct {
		Ask   AskID
		Bytes int
	}
	// Answer tells whoever waits for a ticket what became of its transaction. Err may also
	// wrap ErrUndecided.
	Answer struct{ intake.Answer }
	// Publish shows others how the ledger is. Views are immutable.
	Publish struct{ View *View }
	// Note tells observers what happened. It asks for nothing.
	Note struct{ What Notice }
	// Halt says that this peer cannot go on at all: its disk, or its state, cannot be
	// trusted. Nothing comes after it.
	Halt struct{ Why error }
)

func (Append) effect()     {}
func (Renewed) effect()    {}
func (Cut) effect()        {}
func (Disown) effect()     {}
func (Store) effect()      {}
func (SyncStore) effect()  {}
func (Certify) effect()    {}
func (Prune) effect()      {}
func (Keep) effect()       {}
func (Install) effect()    {}
func (Load) effect()       {}
func (Committee) effect()  {}
func (CheckVotes) effect() {}
func (CheckTxs) effect()   {}
func (CheckChain) effect() {}
func (Execute) effect()    {}
func (Judge) effect()      {}
func (Peek) effect()       {}
func (Send) effect()       {}
func (Ask) effect()        {}
func (Stop) effect()       {}
func (Credit) effect()     {}
func (Answer) effect()     {}
func (Publish) effect()    {}
func (Note) effect()       {}
func (Halt) effect()       {}

// Class is a kind of traffic between validators. Votes go first.
type Class uint8

// The classes of traffic, each on a stream of its own.
const (
	Votes Class = iota
	Proposals
	Bulk
)

// String returns the class's name.
func (c Class) String() string { return [...]string{"vote", "proposal", "bulk"}[c] }
