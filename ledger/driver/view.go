package driver

import (
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Head is the last committed block with the state after it. It never changes.
type Head struct {
	exec.Tip
	Decision *pbft.Decision // without signatures for the genesis block
	Epoch    uint64         // of the next block
	Next     genesis.ValidatorSet
	Start    pbft.Header // the block before Epoch's first
	Params   genesis.Params
}

// Fork is two certified blocks that exclude each other.
type Fork struct {
	First, Second *pbft.Decision  // First is nil if it is not stored here
	Guilty        []sig.PublicKey // as far as evidence shows
}

// View is how the ledger is, as far as others may know. It never changes.
type View struct {
	Head *Head
	Core *CoreView // nil while this peer only follows
	// Recovering says that the log was lost and this peer must not vote yet.
	Recovering bool
	// CatchingUp says that this peer is a validator that does not vote yet, because it
	// has to learn first what others have committed.
	CatchingUp bool
	Halted     string // why this peer does not vote any more; empty while it may
	Fork       *Fork
	Waiting    int           // transactions in the pool
	Oldest     time.Duration // see intake.Pool.Oldest
	Heard      []Heard       // of the validators of the next block, in their order
	At         Instant
}

// CoreView is how consensus is.
type CoreView struct {
	Epoch, View uint64
	Changing    bool
	Leader      sig.PublicKey
	Stable      uint64
}

// Heard is when a validator was last heard.
type Heard struct {
	At        time.Duration // Mono; meaningless unless Ever
	Ever      bool
	Gone      bool   // it cannot be reached
	Committed uint64 // how far it said it is
}

// Notice is something worth telling observers: a closed set.
type Notice interface{ notice() }

type (
	// BlockCommitted says that a block is the head. Latency is 0 for one that was fetched.
	BlockCommitted struct {
		Decision *pbft.Decision
		Block    *exec.Block
		Latency  time.Duration
	}
	// ViewChanged says why a leader was given up, or that a view began.
	ViewChanged struct {
		View uint64
		Kind pbft.NoteKind
	}
	// TxRejected says that a transaction was refused.
	TxRejected struct{ Code tx.Code }
	// FrameDropped says that there was no room for something.
	FrameDropped struct{ What string }
	// Misbehaved says that somebody has done what nobody should.
	Misbehaved struct {
		Kind string
		Key  sig.PublicKey
		Err  error // nil, or what exactly
	}
	// SourceAvoided says that a source was given up for a while.
	SourceAvoided struct {
		Source string
		Lied   bool
		For    time.Duration
	}
	// RoleChanged says that this peer takes part in an epoch, or only follows.
	RoleChanged struct {
		Voting, Recovering bool
		Epoch              uint64
	}
	// Stopped says why this peer does not vote any more.
	Stopped struct{ Why error }
	// Odd says what an operator may want to know.
	Odd struct {
		What string
		Seq  uint64
		Peer sig.PublicKey
		Err  error
	}
)

func (BlockCommitted) notice() {}
func (ViewChanged) notice()    {}
func (TxRejected) notice()     {}
func (FrameDropped) notice()   {}
func (Misbehaved) notice()     {}
func (SourceAvoided) notice()  {}
func (RoleChanged) notice()    {}
func (Stopped) notice()        {}
func (Odd) notice()            {}
