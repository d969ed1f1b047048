package ledger

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

var (
	// ErrNotFound is returned for blocks and transactions that are not in the ledger.
	ErrNotFound = errors.New("not in the ledger")
	// ErrPruned is returned for blocks that this replica no longer keeps, or never had.
	ErrPruned = errors.New("this peer does not keep that block")
	// ErrGenesis is returned by Open for a directory that belongs to another ledger.
	ErrGenesis = errors.New("the directory holds another ledger")
	// ErrHalted is returned for what a replica that has halted cannot do.
	ErrHalted = errors.New("the replica has halted")
	// ErrBadSource is returned for what no honest peer sends, by a Source as well.
	ErrBadSource = errors.New("the peer's blocks are not the ledger's")
	// ErrOversize is returned by a Source for a block that is larger than it may be.
	ErrOversize = errors.New("the peer sends a block that is too large")
	// ErrUndecided is returned with a transaction that was handed in and whose fate
	// is not known yet: it may still be committed.
	ErrUndecided = driver.ErrUndecided
)

// Class is a kind of traffic between validators. Votes go first.
type Class = driver.Class

// The classes of traffic, each on a stream of its own.
const (
	Votes     = driver.Votes
	Proposals = driver.Proposals
	Bulk      = driver.Bulk
)

// Transport moves frames between validators. It authenticates them, bounds its
// queues and never delays. protocols/consensus is one; tests have another in
// memory. Frames that arrive go to [Ledger.Receive].
type Transport interface {
	// SetValidators says who may send and is sent to.
	SetValidators(keys []sig.PublicKey)
	// Send queues a frame and returns false if there is no room. The frame must not
	// be changed afterwards.
	Send(to sig.PublicKey, class Class, frame []byte) bool
}

// Peers gives access to the peers that have the ledger, to catch up and to hand
// transactions in. protocols/statesync is behind it.
type Peers interface {
	// Sources returns peers to ask, best first, at most n.
	Sources(n int) []Source
	// Changed has an element when Sources may return others than when it was last empty.
	// One who is silent about it, with nil, is asked now and then all the same.
	Changed() <-chan struct{}
}

// Source is a peer that has the ledger. What it sends is verified.
type Source interface {
	// Name is the peer's ID, for logs.
	Name() string
	// Head returns how far the peer is: a blob of this package.
	Head(ctx context.Context) ([]byte, error)
	// Blocks yields the blocks of a range. The error is ErrPruned if the peer has them
	// not, ErrOversize if one is larger than may be, before it is read.
	Blocks(ctx context.Context, r Range) iter.Seq2[[]byte, error]
	// Chunk returns a part of the state at a checkpoint.
	Chunk(ctx context.Context, seq uint64, start []byte) ([]byte, error)
	// Hops yields the changes of the validators from a block on.
	Hops(ctx context.Context, from uint64) iter.Seq2[[]byte, error]
	// Submit hands a transaction in, and returns nil, a *tx.Rejection, or another
	// error when it may be tried elsewhere.
	Submit(ctx context.Context, raw []byte) error
}

// Range says which blocks a Source is asked for.
type Range struct {
	From uint64 // sequence number of the first one
	// Count is how many at most; fewer come when the peer has no more. 0 means all, and
	// new ones as they are committed.
	Count int
	// Largest is how many bytes one may have as peers send it.
	Largest int
}

// Options is what a ledger is opened with.
type Options struct {
	Genesis *genesis.Genesis
	// Key is this peer's. It is a validator while the key is in the validator set.
	Key       sig.PrivateKey
	Dir       string // the ledger's directory; see Init
	Config    Config
	Transport Transport // nil: this peer cannot be a validator
	Peers     Peers     // nil: it can neither catch up nor follow
	// TransferAfter is how many blocks this peer may be behind before it fetches the
	// state at a checkpoint instead of the blocks, which it then does not have. 0
	// means 10,000.
	TransferAfter uint64
	// StateEvery is how many transactions are executed before the state is stored: who
	// fetches a state, or drops old blocks, needs one that is. 0 means 20,000.
	StateEvery int
	Log        *slog.Logger
	Observer   Observer

	// log is how large the log of votes is made, if not as it ships: for tests, which make
	// many.
	log logSize
}

// Observer is told what happens. Methods are called from the ledger's loops and
// must return at once.
type Observer interface {
	Committed(b BlockInfo, latency time.Duration) // latency is 0 for blocks that were fetched
	ViewChanged(view uint64, reason string)
	Rejected(code tx.Code)
	Synced(records int, took time.Duration) // one fsync of the log
	Dropped(what string)                    // a queue was full
	Misbehaved(kind string, key sig.PublicKey)
}

// BlockInfo describes a committed block.
type BlockInfo struct {
	Header  pbft.Header
	Digest  pbft.Digest
	View    uint64
	Signers []quorum.Replica
	Bytes   int // of the encoded transactions
}

// Block is a committed block.
type Block struct {
	BlockInfo
	Cert         pbft.Certificate
	Transactions tx.Batch
}

// Committed is where a transaction is.
type Committed struct {
	ID    tx.ID
	Block uint64 // sequence number
	Index int
	Time  time.Time // the block's
}

// Role is what this peer is to the ledger.
type Role string

const (
	// RoleValidator votes.
	RoleValidator Role = "validator"
	// RoleRecovering is a validator that has lost its log and does not vote yet.
	RoleRecovering Role = "recovering"
	// RoleCatchingUp is a validator that does not vote yet: it learns what others have
	// committed, or listens for it in the first second after its start.
	RoleCatchingUp Role = "catching-up"
	// RoleFollower verifies and keeps up.
	RoleFollower Role = "follower"
	// RoleHalted is a validator that must not go on; Status.Halted says why.
	RoleHalted Role = "halted"
)

// Status is how this peer and the ledger are.
type Status struct {
	Network   string
	Genesis   pbft.Digest
	Role      Role
	Halted    string // why, for RoleHalted
	Epoch     uint64
	View      uint64
	Changing  bool // a view change runs
	Leader    sig.PublicKey
	Committed uint64 // sequence number of the last block
	Block     pbft.Digest
	State     pbft.Digest
	Time      time.Time // the last block's
	Stable    uint64    // last certified checkpoint
	Waiting   int       // transactions
	// Oldest is for how long a valid transaction has waited that a leader could have
	// proposed, 0 when none does.
	Oldest     time.Duration
	Validators []ValidatorStatus
	Quorum     int
	Faulty     int // how many may fail
	// Problem says in one line why nothing commits, if so: how many validators are
	// out of reach and how many are needed. A node adds what is wrong with its peers.
	Problem string
	// Stuck says that, as far as this peer can tell, it commits nothing for the problem.
	Stuck    bool
	Evidence []string // proved misbehaviour
	// Fork is not nil when this peer has seen two chains.
	Fork *ForkStatus
}

// ValidatorStatus is what is known of a validator.
type ValidatorStatus struct {
	Replica quorum.Replica
	Key     sig.PublicKey
	Name    string
	Self    bool
	// Heard is when it was last heard, zero for never.
	Heard time.Time
	// Committed is how far it said it is.
	Committed uint64
}

// API is what the node serves of a ledger. *Ledger implements it.
type API interface {
	// Submit hands a signed transaction in and waits until it is committed. The
	// error is a *tx.Rejection when it cannot be, and wraps ErrUndecided when ctx
	// ends before that is known.
	Submit(ctx context.Context, t *tx.Transaction) (Committed, error)
	// Do signs an operation with this peer's key and submits it.
	Do(ctx context.Context, op tx.Op) (*tx.Transaction, Committed, error)
	Status(ctx context.Context) (Status, error)
	// Block returns a block; seq 0 is the last one.
	Block(ctx context.Context, seq uint64) (*Block, error)
	// Transaction returns a committed transaction with its place.
	Transaction(ctx context.Context, id tx.ID) (*tx.Transaction, Committed, error)
	// Registration returns the transaction that registered a snapshot first, or
	// that registered it for owner when that is not zero.
	Registration(ctx context.Context, root tx.CID, owner sig.PublicKey) (*tx.Transaction, Committed, error)
	// Name returns who holds a name and what it stands for.
	Name(ctx context.Context, name string) (NameInfo, error)
	// Standing returns how a change stands that validators vote on, as of the last
	// block: a [tx.ValidatorAdd], [tx.ValidatorRemove] or [tx.ParamsSet].
	Standing(ctx context.Context, change tx.Op) (state.Standing, error)
	// Candidates returns the changes that validators have voted for, as of the last block,
	// and that have not taken effect.
	Candidates(ctx context.Context) ([]state.Candidate, error)
	// Receipt returns the encoded receipt of a committed transaction.
	Receipt(ctx context.Context, id tx.ID) ([]byte, error)
	// NextNonce returns the lowest nonce that an owner can use.
	NextNonce(ctx context.Context, owner sig.PublicKey) (uint64, error)
	// Watch yields blocks from a sequence number on (0: from now), as they are
	// committed, until ctx ends.
	Watch(ctx context.Context, from uint64) iter.Seq2[*Block, error]
}

// NameInfo is a name that somebody holds.
type NameInfo struct {
	Name   string
	Owner  sig.PublicKey
	Target string
	// Offered is to whom the owner offers it, and zero for nobody.
	Offered sig.PublicKey
	Records uint64 // in its namespace
	Proof   []byte // of internal/smt, under the state root of Block
	Block   uint64
}

var _ API = (*Ledger)(nil)
