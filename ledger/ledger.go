package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/quiet"
	"github.com/decube/decube/internal/records/badgerstore"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/shell"
)

// Ledger is one peer's part of the replicated log: a validator while its key is in
// the validator set, a follower otherwise. Its methods are safe for concurrent
// use.
type Ledger struct {
	cfg      Config
	genesis  *genesis.Genesis
	key      sig.PrivateKey
	observer Observer
	log      *slog.Logger
	quiet    *quiet.Log // of what others can cause
	started  time.Time  // instants count from here

	shell   *shell.Shell
	driver  machine  // of the loop alone
	inbox   *inbox   // events for it
	outside *outside // what effects have to do with
	view    atomic.Pointer[driver.View]
	callers callers
	nonces  nonces
	closing closing
}

// machine is the driver, with what it asked for before it ran.
type machine struct {
	*driver.Driver

	first []driver.Effect
}

// closing is the end of a ledger.
type closing struct {
	begun chan struct{}
	once  sync.Once
	files sync.Once
	err   error // of closing the files
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
	core := o.Genesis.Config(o.Config.core())
	if err := core.Validate(); err != nil {
		return nil, err
	}
	if err := o.log.validate(o.Genesis); err != nil {
		return nil, err
	}
	l := &Ledger{
		cfg: o.Config, genesis: o.Genesis, key: o.Key, observer: o.Observer, log: o.Log, started: time.Now(),
		closing: closing{begun: make(chan struct{})}, inbox: newInbox(o.Config.QueueSize), callers: newCallers(),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.observer == nil {
		l.observer = nobody{}
	}
	l.quiet = quiet.New(l.log)
	l.outside = newOutside(l, &o)
	if err := l.open(ctx, &o); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// open opens the files, and makes the driver of what they hold.
func (l *Ledger) open(ctx context.Context, o *Options) error {
	if err := makeDir(o.Dir, o.Genesis); err != nil {
		return err
	}
	dir := filepath.Join(o.Dir, archiveDir)
	store, err := badgerstore.Open(badgerstore.Options{Dir: dir, Log: l.log})
	if err != nil {
		return mendArchive(dir, fmt.Errorf("open the archive in %s: %w", dir, err))
	}
	core := o.Genesis.Config(o.Config.core())
	s, recovered, err := shell.Open(ctx, shell.Options{
		Genesis: o.Genesis, Core: core, Self: o.Key.Public(), FS: durable.OS, Dir: o.Dir, Store: store,
		SegmentSize: o.log.segment, Segments: o.log.segments,
		StateEvery: o.StateEvery, Votes: o.Transport != nil, Log: l.log, Sigs: sig.NewVerifier(0), Ballots: sig.NewVerifier(0),
		Workers: o.Config.ParallelWorkers, Lanes: l.newLane, Deliver: l.inbox.completed, Outside: l.outside,
	})
	switch {
	case errors.Is(err, shell.ErrOther):
		return fmt.Errorf("%w: %w, %s", ErrGenesis, err, dir)
	case errors.Is(err, archive.ErrCorrupt):
		return mendArchive(dir, fmt.Errorf("open the archive in %s: %w", dir, err))
	case err != nil:
		return err
	}
	l.shell = s
	// Only now it is certain that what is stored is not another ledger's.
	if err := bind(o.Dir, o.Genesis); err != nil {
		return err
	}
	cfg := driver.Config{
		Genesis: o.Genesis, Core: core, Key: o.Key, MaxBatch: o.Config.MaxBatchSize, BatchTimeout: o.Config.BatchTimeout,
		Fanout: o.Config.GossipFanout, TransferAfter: o.TransferAfter, KeepBlocks: uint64(o.Config.KeepBlocks), StateEvery: o.StateEvery,
	}
	if cfg.TransferAfter == 0 {
		cfg.TransferAfter = 10_000
	}
	if _, err := rand.Read(cfg.Seed[:]); err != nil {
		return err
	}
	d, effects, err := driver.New(cfg, recovered, l.instant())
	if err != nil {
		return err
	}
	l.driver.Driver = d
	for _, e := range effects {
		switch e.(type) {
		case driver.Publish, driver.Committee: // callers, and other validators, may be there before Run is
			l.shell.Do([]driver.Effect{e})
		default:
			l.driver.first = append(l.driver.first, e)
		}
	}
	return nil
}

// instant is the present moment for the driver.
func (l *Ledger) instant() driver.Instant {
	now := time.Now()
	return driver.Instant{Mono: now.Sub(l.started), Wall: now.UnixMilli()}
}

// Close closes what Open opened. It is for whoever does not call Run, which closes
// the ledger itself.
func (l *Ledger) Close() error {
	l.closing.once.Do(func() { close(l.closing.begun) })
	l.closing.files.Do(func() {
		l.outside.close()
		if l.shell != nil {
			l.closing.err = l.shell.Close()
		}
	})
	return l.closing.err
}
