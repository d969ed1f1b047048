package driver

import (
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Instant is the moment at which an event was taken.
type Instant struct {
	Mono time.Duration // since a moment of the caller's choice; never goes back
	Wall int64         // Unix milliseconds; may jump either way
}

// JobID numbers the jobs that a Driver has others do, from 1 on. A completion under a
// number that is not open any more is ignored.
type JobID uint64

// AskID numbers the questions to sources, in the same way.
type AskID uint64

// Mark numbers groups of records, from 1 on, in the order in which they go to the log.
type Mark uint64

// Frame is a frame as [Read] returns it: decoded, with what can be had of it without
// looking at a signature.
type Frame struct {
	codec.Frame
	Content *body.Content // of a codec.Proposal or codec.Body
	Batch   tx.Batch      // of codec.Transactions
	Size    int           // in bytes, encoded; of a NEW-VIEW also what its claims take besides
}

// Fetched is a committed block from a source: its certificate, its transaction root and
// the validators that it names were verified. The signatures of its transactions were
// not, since a quorum has.
type Fetched struct {
	Verified pbft.Verified
	Content  *body.Content
	Next     genesis.ValidatorSet // nil unless the block hands over to others
}

// Decision implements follow.Block.
func (f *Fetched) Decision() *pbft.Decision {
	d, _ := f.Verified.Message().(*pbft.Decision)
	return d
}

// Event is what happens to a Driver: a closed set. One Step takes one or several.
type Event interface{ event() }

type (
	// Arrived is a frame from another validator, which the transport has authenticated.
	// Nothing in it is verified.
	Arrived struct {
		From  sig.PublicKey
		Frame Frame
	}
	// Malformed says that a validator has sent what cannot be read.
	Malformed struct {
		From sig.PublicKey
		Err  error
	}
	// Linked says that a validator can be reached from now on.
	Linked struct{ Peer sig.PublicKey }
	// Lost says that it cannot any more.
	Lost struct{ Peer sig.PublicKey }
	// KeyInUse says that another process with this peer's key has its place among the
	// validators.
	KeyInUse struct{}

	// Submitted is a transaction of a client or a follower, of which nothing is verified.
	// Ticket is used for no other. Known says that the owner has had an entry in the state
	// for a day or longer, as the last published view shows.
	Submitted struct {
		Ticket intake.Ticket
		Tx     *tx.Transaction
		From   intake.Source
		Known  bool
	}
	// Withdrawn says that nobody waits for a ticket any more.
	Withdrawn struct{ Ticket intake.Ticket }

	// Sources lists the peers that can be asked from now on, preferred ones first.
	Sources struct{ Names []string }
	// Item is the next item of the answer to a question. The Driver owns the blob.
	Item struct {
		Ask  AskID
		Blob []byte
	}
	// Ended says that no more items come. It is not sent for what was stopped. Err is what
	// a source said about a transaction that it was given: nil, a *tx.Rejection, or why it
	// could not take it.
	Ended struct {
		Ask AskID
		Why follow.End
		Err error
	}

	// DiskFree says how much room is left where the ledger is.
	DiskFree struct{ Bytes uint64 }
	// Alarm says that the Deadline has come. Every event does.
	Alarm struct{}
)

type (
	// Durable says that all records up to a mark are durable.
	Durable struct{ Mark Mark }
	// VotesChecked answers CheckVotes: one of each pair for each message.
	VotesChecked struct {
		Job      JobID
		Verified []pbft.Verified
		Errs     []error
	}
	// TxsChecked answers CheckTxs: nil, a *tx.Rejection, or the error of the state's
	// reader, for each transaction.
	TxsChecked struct {
		Job  JobID
		Errs []error
	}
	// Executed answers Execute. Block is the block that was built or carried out, nil for
	// a Check whose Verdict is not exec.Valid, or if none of the candidates applied. Params
	// are the parameters after it.
	Executed struct {
		Job      JobID
		Block    *exec.Block
		Params   genesis.Params
		Verdict  exec.Verdict      // of a Check
		Doubtful []*tx.Transaction // of a Build
		// Err is the error of a Redo, which wraps exec.ErrInvalid if this peer's state is not
		// what others have signed, or that of the state's reader, and no verdict.
		Err error
	}
	// Judged answers Judge.
	Judged struct {
		Job        JobID
		Rejections []*tx.Rejection
		Err        error
	}
	// Peeked answers Peek.
	Peeked struct {
		Job   JobID
		Nonce uint64
		Err   error
	}
	// Loaded answers Load: the encoded body, nil if it is not there.
	Loaded struct {
		Job     JobID
		Encoded []byte
	}
	// Archived says that blocks up to a sequence number can be read from the archive. They are
	// not durable for that.
	Archived struct{ Seq uint64 }
	// Stored answers SyncStore: the archive is durable up to a sequence number.
	Stored struct{ Seq uint64 }
	// ChainChecked answers CheckChain: one of follow.HeadChecked, follow.BlocksChecked with
	// *Fetched as blocks, follow.Building, follow.ChunkRefused, follow.Failed.
	ChainChecked struct{ Event follow.Event }
	// Installed answers Install: the archive begins with a state that was fetched. Verified
	// is the decision of its block, Seat what the state says of this peer. Err says that
	// nothing was replaced.
	Installed struct {
		Job      follow.JobID
		Head     *Head
		Verified pbft.Verified
		Seat     Seat
		Err      error
	}
	// Accused answers Keep of a fork: the fork with those who are to blame for it.
	Accused struct{ Fork *Fork }
	// LogFailed says that the log cannot be written any more.
	LogFailed struct{ Err error }
	// StoreFailed says that the archive cannot.
	StoreFailed struct{ Err error }
)

func (Arrived) event()      {}
func (Malformed) event()    {}
func (Linked) event()       {}
func (Lost) event()         {}
func (KeyInUse) event()     {}
func (Submitted) event()    {}
func (Withdrawn) event()    {}
func (Sources) event()      {}
func (Item) event()         {}
func (Ended) event()        {}
func (DiskFree) event()     {}
func (Alarm) event()        {}
func (Durable) event()      {}
func (VotesChecked) event() {}
func (TxsChecked) event()   {}
func (Executed) event()     {}
func (Judged) event()       {}
func (Peeked) event()       {}
func (Loaded) event()       {}
func (Archived) event()     {}
func (Stored) event()       {}
func (ChainChecked) event() {}
func (Installed) event()    {}
func (Accused) event()      {}
func (LogFailed) event()    {}
func (StoreFailed) event()  {}
