package ledger

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decube/decube/internal/quiet"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// Ledger is one peer's part of the replicated log: a validator while its key is in
// the validator set, a follower otherwise. Its methods are safe for concurrent
// use.
type Ledger struct {
	cfg       Config
	core      pbft.Config
	genesis   *genesis.Genesis
	network   [32]byte
	key       sig.PrivateKey
	self      sig.PublicKey
	dir       string
	log       *slog.Logger
	quiet     *quiet.Log // of what others can cause
	observer  Observer
	transport Transport
	peers     Peers

	transferAfter uint64

	sigs  *sig.Verifier // of transactions
	votes *sig.Verifier // of validators: clients do not displace their keys
	clock clock

	archive *archive.Archive
	journal *voteLog // nil for a replica that must not vote
	halted  atomic.Pointer[string]
	alarmed atomic.Bool                  // a fork was seen
	fork    atomic.Pointer[archive.Fork] // it, once it is stored

	tip      atomic.Pointer[head]
	epoch    atomic.Pointer[epoch] // nil while this peer only follows
	status   atomic.Pointer[coreStatus]
	pool     *pool
	bodies   *bodies
	heard    *heard
	early    earlyFrames
	waiters  *waiters
	nonces   nonces
	renewals atomic.Pointer[[]tx.ID]
	renewed  atomic.Uint64 // the block in which this validator took its place anew, 0 before
	moved    *broadcast
	needSync *syncHint

	messages   *fairQueue   // the core's
	bulk       chan arrival // transactions
	bodyFrames chan arrival // bodies, and questions for them
	events     chan engineEvent
	toEngine   *mailbox[pbft.Event]
	intake     chan submission
	outgoing   *mailbox[*tx.Transaction]
	desk       *desk
	exec       *executor
	carrying   atomic.Bool // others' transactions are being verified

	placed    chan struct{} // closed once it is known whether this peer votes
	placeOnce sync.Once
	reached   chan struct{} // closed once this peer has had all that was proved to be committed
	reachOnce sync.Once
	closing   chan struct{}
	closeOnce sync.Once

	closeFiles sync.Once
	closed     []error // of closing the files
}

// coreStatus is what the engine publishes of the core.
type coreStatus struct {
	epoch      uint64
	view       uint64
	changing   bool
	leader     sig.PublicKey
	stable     uint64
	recovering bool
}

// Open opens a peer's part of a ledger. The directory is made when it is missing;
// a validator then counts as one that has lost its log. A damaged log does not
// fail Open: the peer follows, does not vote, and its status says why.
func Open(ctx context.Context, o Options) (*Ledger, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	if err := o.Genesis.Validate(); err != nil {
		return nil, err
	}
	l := &Ledger{
		cfg: o.Config, core: o.Genesis.Config(o.Config.core()), genesis: o.Genesis, network: o.Genesis.ID(),
		key: o.Key, self: o.Key.Public(), dir: o.Dir, log: o.Log, observer: o.Observer,
		transport: o.Transport, peers: o.Peers, transferAfter: cmp.Or(o.TransferAfter, 10_000),
		sigs: sig.NewVerifier(0), votes: sig.NewVerifier(0), clock: clock{time.Now()},
		bodies: newBodies(&o.Genesis.Params), heard: newHeard(), waiters: newWaiters(),
		moved: newBroadcast(), needSync: newSyncHint(),
		messages: newFairQueue(2*o.Genesis.Params.MaxFrame() + voteBytes), bulk: make(chan arrival, bulkQueue), bodyFrames: make(chan arrival, bulkQueue),
		events: make(chan engineEvent, round), toEngine: newMailbox[pbft.Event](), outgoing: newMailbox[*tx.Transaction](),
		intake: make(chan submission, o.Config.QueueSize),
		placed: make(chan struct{}), reached: make(chan struct{}), closing: make(chan struct{}),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.quiet = quiet.New(l.log)
	if l.observer == nil {
		l.observer = nobody{}
	}
	if err := l.core.Validate(); err != nil {
		return nil, err
	}
	l.desk = newDesk(l)
	l.pool = newPool(&l.clock)
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// voteBytes is how many bytes of one validator's votes wait to be verified, beside two
// proposals.
const voteBytes = 256 << 10

// bulkQueue is how many frames of transactions, and of bodies, wait to be looked at.
const bulkQueue = 64

// halt makes this peer a follower for good, whatever loop has found out that it must not
// vote: the engine looks at it with each event.
func (l *Ledger) halt(err error) {
	why := err.Error()
	if !l.halted.CompareAndSwap(nil, &why) {
		return // the first reason is what others follow from
	}
	l.log.Error("this replica does not vote any more; it goes on following", "err", err)
	l.moved.broadcast() // who waits for its turn to vote has to see
}

// Close closes what Open opened. It is for whoever does not call Run, which closes
// the ledger itself.
func (l *Ledger) Close() error {
	l.closeOnce.Do(func() { close(l.closing) })
	l.closeFiles.Do(func() {
		if l.journal != nil {
			l.closed = append(l.closed, l.journal.close())
		}
		if l.archive != nil {
			l.closed = append(l.closed, l.archive.Close())
		}
	})
	return errors.Join(l.closed...)
}
