package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/pool"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/smt"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/ledger/wal"
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
	observer  Observer
	transport Transport
	peers     Peers

	transferAfter uint64

	sigs  *sig.Verifier // of transactions
	votes *sig.Verifier // of validators: clients do not displace their keys
	clock clock

	archive *archive.Archive
	journal *journal // nil for a replica that must not vote
	halted  atomic.Pointer[string]

	tip      atomic.Pointer[head]
	epoch    atomic.Pointer[epoch] // nil while this peer only follows
	status   atomic.Pointer[coreStatus]
	pool     *pool.Pool
	bodies   *bodies
	heard    *heard
	early    earlyFrames
	wanted   *wanted
	waiters  *waiters
	nonces   nonces
	renewals atomic.Pointer[[]tx.ID]
	renewed  atomic.Uint64 // the block in which this validator took its place anew, 0 before
	moved    *broadcast
	needSync *syncHint

	messages chan arrival
	bulk     chan arrival
	events   chan engineEvent
	toEngine *mailbox[pbft.Event]
	intake   chan submission
	outgoing *mailbox[*tx.Transaction]
	// handingOver bounds how many transactions a follower hands to others at a time.
	handingOver errgroup.Group
	exec        *executor

	placed    chan struct{} // closed once it is known whether this peer votes
	placeOnce sync.Once
	closing   chan struct{}
	closeOnce sync.Once
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

// genesisFile is the name of the file that says which ledger a directory is of.
const genesisFile = "genesis.id"

// Init makes dir the directory of a peer's part of a ledger: one that has not
// voted yet. Only for a key that has never been used it is true, so that a
// validator whose directory is gone must not be given a new one by Init: Open
// notices the loss and waits until it is safe to vote.
func Init(dir string, g *genesis.Genesis) error {
	if err := durable.OS.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the ledger's directory: %w", err)
	}
	if err := bind(dir, g); err != nil {
		return err
	}
	l, err := wal.Create(wal.Default(filepath.Join(dir, "wal")))
	if errors.Is(err, wal.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making the ledger's log: %w", err)
	}
	return l.Close()
}

// bind notes which ledger a directory is of, or checks it.
func bind(dir string, g *genesis.Genesis) error {
	name := filepath.Join(dir, genesisFile)
	want := g.ID().String() + "\n"
	got, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return durable.WriteFile(name, []byte(want), 0o600)
	}
	if err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%w: %s is of genesis %.16s, the document given has %.16s", ErrGenesis, dir, got, want)
	}
	return nil
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
		bodies: newBodies(), heard: newHeard(), wanted: newWanted(), waiters: newWaiters(),
		moved: newBroadcast(), needSync: newSyncHint(),
		messages: make(chan arrival, o.Config.QueueSize), bulk: make(chan arrival, bulkQueue),
		events: make(chan engineEvent, round), toEngine: newMailbox[pbft.Event](), outgoing: newMailbox[*tx.Transaction](),
		intake: make(chan submission, o.Config.QueueSize),
		placed: make(chan struct{}), closing: make(chan struct{}),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.observer == nil {
		l.observer = nobody{}
	}
	if err := l.core.Validate(); err != nil {
		return nil, err
	}
	l.handingOver.SetLimit(handOvers)
	limits := pool.DefaultLimits()
	limits.Transactions = o.Config.QueueSize * len(o.Genesis.Validators)
	l.pool = pool.New(limits)
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// handOvers is how many transactions a follower hands to others at a time.
const handOvers = 256

// bulkQueue is how many frames of transactions and bodies wait to be verified.
const bulkQueue = 64

func (l *Ledger) open(ctx context.Context) error {
	if err := durable.OS.MkdirAll(l.dir, 0o700); err != nil {
		return fmt.Errorf("making the ledger's directory: %w", err)
	}
	if err := bind(l.dir, l.genesis); err != nil {
		return err
	}
	var err error
	if l.archive, err = archive.Open(archive.Options{Dir: filepath.Join(l.dir, "archive"), CheckpointInterval: l.core.CheckpointInterval, Log: l.log}); err != nil {
		return err
	}
	h, err := l.loadHead()
	if err != nil {
		return err
	}
	l.exec = &executor{
		Ledger: l, box: newMailbox[any](), ahead: map[pbft.Digest]*executed{}, begun: map[pbft.Digest]time.Time{}, synced: h.header.Seq,
	}
	l.exec.stateAt, _ = l.archive.StateSeq()
	l.exec.setHead(h)
	l.bodies.committed(h.header.Seq)
	if l.transport == nil {
		return nil
	}
	l.journal, err = openJournal(l.dir)
	if err != nil {
		l.halt(fmt.Errorf("the log of votes cannot be used: %w", err))
		return nil
	}
	return l.catchUpFromLog(ctx)
}

// loadHead returns the last stored block with its state.
func (l *Ledger) loadHead() (*head, error) {
	m, err := l.archive.OpenState()
	if err != nil {
		return nil, err
	}
	seq, ok := l.archive.Head()
	if !ok {
		return l.begin(m)
	}
	at, ok := l.archive.StateSeq()
	if !ok {
		return nil, fmt.Errorf("%w: no state is stored", archive.ErrCorrupt)
	}
	s, err := state.Open(m)
	if err != nil {
		return nil, err
	}
	for ; at < seq; at++ {
		if s, err = l.replay(s, at+1); err != nil {
			return nil, fmt.Errorf("executing block %d again: %w", at+1, err)
		}
	}
	d, err := l.archive.Decision(seq)
	if err != nil {
		return nil, err
	}
	if s.Root() != d.Header.State {
		return nil, fmt.Errorf("%w: the stored state is not that of block %d", pbft.ErrDiverged, seq)
	}
	set, err := s.Validators()
	if err != nil {
		return nil, err
	}
	h := &head{header: d.Header, digest: d.Cert.Digest, state: s, epoch: d.Header.Epoch, next: set}
	if d.Header.Last() {
		h.epoch++
	}
	return h, nil
}

// replay executes a stored block again.
func (l *Ledger) replay(s state.State, seq uint64) (state.State, error) {
	d, err := l.archive.Decision(seq)
	if err != nil {
		return s, err
	}
	batch, err := l.archive.Batch(seq)
	if err != nil {
		return s, err
	}
	b := s.Begin(seq, d.Header.Time)
	for _, t := range batch {
		if err := b.Apply(t); err != nil {
			return s, err
		}
	}
	s, _, err = b.Finish()
	return s, err
}

// begin stores the genesis block as the first.
func (l *Ledger) begin(m smt.Map) (*head, error) {
	s, err := state.Init(m, l.genesis)
	if err != nil {
		return nil, err
	}
	h := l.genesis.Header(s.Root())
	digest := h.Digest()
	d := &pbft.Decision{Header: h, Cert: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Digest: digest, State: h.State}}}
	if err := l.archive.Append(archive.Entry{Decision: d, State: s.Map()}); err != nil {
		return nil, fmt.Errorf("storing the genesis block: %w", err)
	}
	if err := l.archive.Sync(); err != nil {
		return nil, fmt.Errorf("storing the genesis block: %w", err)
	}
	return &head{header: h, digest: digest, state: s, next: l.genesis.Set()}, nil
}

// catchUpFromLog stores what the log says is committed and the archive does not
// have: the archive is made durable seldom, the log always.
func (l *Ledger) catchUpFromLog(ctx context.Context) error {
	bodies := map[pbft.Digest][]byte{}
	for _, b := range l.journal.bodies {
		bodies[b.header.Body] = b.encoded
	}
	for _, d := range l.journal.decisions() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.Header.Seq != l.exec.head.header.Seq+1 {
			continue
		}
		encoded, ok := bodies[d.Header.Body]
		if d.Header.Count == 0 {
			encoded, ok = tx.Batch{}.AppendTo(nil), true
		}
		if !ok {
			break // the rest comes from others
		}
		done, err := l.exec.fetchedBlock(&fetched{decision: d, body: encoded})
		if err != nil {
			return fmt.Errorf("block %d of the log: %w", d.Header.Seq, err)
		}
		if err := l.exec.advance(d, done, 0); err != nil {
			return err
		}
	}
	if err := l.exec.store(); err != nil {
		return err
	}
	l.toEngine.take() // the core learns of it from Resume
	for _, b := range l.journal.bodies {
		batch, err := tx.DecodeBatch(b.encoded)
		if err != nil {
			return fmt.Errorf("body of block %d in the log: %w", b.header.Seq, err)
		}
		l.bodies.put(b.header.Body, newBody(b.header.Seq, batch.IDs(), batch, b.encoded))
	}
	l.journal.bodies = nil
	l.journal.stored(l.exec.synced)
	return nil
}

// halt makes this peer a follower for good.
func (l *Ledger) halt(err error) {
	why := err.Error()
	l.halted.Store(&why)
	l.log.Error("this replica does not vote any more; it goes on following", "err", err)
}

// Close closes what Open opened. It is for whoever does not call Run, which closes
// the ledger itself.
func (l *Ledger) Close() error {
	l.closeOnce.Do(func() { close(l.closing) })
	var errs []error
	if l.journal != nil {
		errs = append(errs, l.journal.close())
		l.journal = nil
	}
	if l.archive != nil {
		errs = append(errs, l.archive.Close())
		l.archive = nil
	}
	return errors.Join(errs...)
}

// Run takes part until ctx ends or the disk or the state cannot be trusted any
// more, and closes the ledger. What was acknowledged is durable.
func (l *Ledger) Run(ctx context.Context) error {
	execCtx, stopExec := context.WithCancel(context.WithoutCancel(ctx))
	defer stopExec()
	var execErr error
	execDone := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	go func() {
		defer close(execDone)
		execErr = l.exec.run(execCtx)
	}()
	g.Go(func() error {
		select {
		case <-execDone:
			return errExecutor
		case <-ctx.Done():
			return nil
		}
	})
	for range l.cfg.ParallelWorkers {
		g.Go(func() error { return l.verify(ctx) })
	}
	for range max(1, l.cfg.ParallelWorkers/2) {
		g.Go(func() error { return l.carry(ctx) })
		g.Go(func() error { return l.takeIn(ctx) })
	}
	g.Go(func() error { return l.spread(ctx) })
	g.Go(func() error { return l.takePart(ctx) })
	g.Go(func() error { return l.catchUp(ctx) })
	g.Go(func() error { return l.renew(ctx) })
	err := errors.Join(g.Wait(), l.handingOver.Wait())
	l.closeOnce.Do(func() { close(l.closing) })
	stopExec()
	<-execDone
	if errors.Is(err, errExecutor) {
		err = nil
	}
	return errors.Join(err, execErr, l.Close())
}

// errExecutor stops the other loops when the executor has ended: its own error is
// what counts.
var errExecutor = errors.New("the executor has ended")

// takePart votes in one epoch after another while this peer is a validator, and
// waits for an epoch in which it is one otherwise.
func (l *Ledger) takePart(ctx context.Context) error {
	for ctx.Err() == nil {
		moved := l.moved.wait()
		tip := l.tip.Load()
		e, err := l.presentEpoch(tip)
		if err != nil {
			return err
		}
		if !e.member || l.journal == nil || l.halted.Load() != nil {
			l.onlyFollow()
			l.placeOnce.Do(func() { close(l.placed) })
			select {
			case <-ctx.Done():
			case <-moved:
			}
			continue
		}
		if err := l.vote(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// presentEpoch returns the epoch of the next block.
func (l *Ledger) presentEpoch(tip *head) (*epoch, error) {
	if e := l.epoch.Load(); e != nil && e.number == tip.epoch {
		return e, nil
	}
	start := tip.header
	if tip.epoch == 0 {
		s, err := state.Genesis(l.genesis)
		if err != nil {
			return nil, err
		}
		start = l.genesis.Header(s.Root())
	} else if !start.Last() {
		h, err := l.epochStart(tip.epoch)
		if err != nil {
			return nil, err
		}
		start = *h
	}
	return l.newEpoch(tip.epoch, tip.next, &start)
}

// epochStart returns the last block of the epoch before.
func (l *Ledger) epochStart(number uint64) (*pbft.Header, error) {
	t, err := l.archive.Transition(number - 1)
	return &t.Header, err
}

// onlyFollow notes that this peer has no vote in the present epoch.
func (l *Ledger) onlyFollow() {
	if l.epoch.Load() != nil {
		l.epoch.Store(nil)
		l.status.Store(nil)
		if l.transport != nil {
			l.transport.SetValidators(nil)
		}
		l.log.Info("following: this peer is not among the validators")
	}
}

// vote drives the core through one epoch.
func (l *Ledger) vote(ctx context.Context, e *epoch) error {
	if old := l.epoch.Load(); old == nil || len(e.validators) > len(old.validators) {
		l.pool.SetOrigins(len(e.validators))
	}
	l.heard.retain(e.validators)
	done := make(chan error, 1)
	l.exec.box.put(cancel{done})
	select {
	case err := <-done:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return nil
	}
	l.toEngine.take()
	if since := l.renewed.Load(); l.journal.recovering && since > 0 && e.start.Seq >= since {
		if err := l.journal.recovered(); err != nil {
			return err
		}
		l.log.Info("voting again: what this replica may have said before is void in this epoch")
	}
	n, err := l.newEngine(e, l.journal)
	if err != nil {
		l.halt(err)
		return nil
	}
	l.transport.SetValidators(e.validators)
	l.epoch.Store(e)
	l.pool.SetOrigins(len(e.validators))
	n.publish()
	l.placeOnce.Do(func() { close(l.placed) })
	l.log.Info("taking part", "epoch", e.number, "replica", e.self, "validators", len(e.validators), "quorum", e.committee.Quorum())
	for _, a := range l.early.take() {
		l.Receive(a.from, Votes, a.frame)
	}
	switch err := n.run(ctx); {
	case errors.Is(err, errEpochOver):
		l.journal.newEpoch()
	case errors.Is(err, ErrHalted):
		l.halt(err)
		l.epoch.Store(nil)
		l.status.Store(nil)
	case err != nil:
		return err
	}
	return nil
}

// chain returns a light client at the epoch of the next block.
func (l *Ledger) chain() (*receipt.Chain, error) {
	c, err := receipt.NewChain(l.genesis, l.votes)
	if err != nil {
		return nil, err
	}
	tip := l.tip.Load()
	var all []receipt.Transition
	for t, err := range l.archive.Transitions(0) {
		if err != nil {
			return nil, err
		}
		if t.Header.Epoch >= tip.epoch {
			break
		}
		all = append(all, t)
	}
	return c, c.Advance(all...)
}
