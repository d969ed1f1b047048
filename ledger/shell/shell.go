// Package shell carries out what the driver of the ledger decides: it has the log, the
// archive and the verifiers, and does each effect in a lane.
//
//	driver --- effects ---> Shell --- jobs ---> lanes: log, store, sync, exec, judge, votes, bodies, txs, chain
//	   ^                      |                   |
//	   |                      +--- the rest ---> Outside: network, sources, clients, observers
//	   +---- events ------------------------------+
//
// It decides nothing and starts no goroutine: lanes are handed in, so that what ships
// and what is simulated differ in nothing but the lanes and what is outside.
//
// # Failures
//
// The first failure of the log is its last: one LogFailed, and nothing is logged behind
// it. The same holds for the archive, with StoreFailed. In all other lanes a failure is
// that of one job, and in its answer. A job for which a lane has no room is answered as
// one that failed; backlogs are such that a Driver, which bounds what it has out, never
// sees that.
package shell

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/internal/quiet"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// Job is an effect on its way through a lane.
type Job struct {
	Effect driver.Effect
	Cost   lane.Cost

	verifier *pbft.Verifier // of CheckVotes: that of the epoch in which it was asked for
	tidy     bool           // of SyncStore: it is durable, and what is not needed may go
}

// Lane is a lane of jobs: see package lane for the contract.
type Lane interface {
	Submit(number uint64, job Job) error
	Cancel(number uint64) bool
	Load() lane.Load
	Close()
}

// NewLane makes the lane of a name: log, store, sync, exec, judge, votes, bodies, txs or
// chain.
type NewLane func(name string, o lane.Options[Job], work lane.Work[Job, []driver.Event], deliver func([]lane.Completion[[]driver.Event])) Lane

// Outside is what a Shell itself has no part in. Its methods are called by who calls Do,
// in the order of the effects, and must return at once.
type Outside interface {
	// SetValidators says with whom the transport talks.
	SetValidators(keys []sig.PublicKey)
	// Send sends a frame to one validator, and returns false if there is no room.
	Send(to sig.PublicKey, class driver.Class, frame []byte) bool
	Ask(driver.Ask)
	Stop(driver.Stop)
	Credit(driver.Credit)
	Answer(driver.Answer)
	Publish(*driver.View)
	Note(driver.Notice)
	Halt(error)
}

// Options are what a Shell is made of.
type Options struct {
	Genesis *genesis.Genesis
	Core    pbft.Config // of Genesis
	Self    sig.PublicKey
	FS      durable.FS    // of the log
	Dir     string        // of the replica
	Store   archive.Store // of the archive; it is the Shell's from then on
	// Segments, if not 0, makes a small log: for tests.
	SegmentSize int64
	Segments    int
	// StateEvery is the driver's: after so many transactions the state is stored. 0 means
	// driver.DefaultStateEvery.
	StateEvery int
	// Votes says that this peer has a transport, and may be a validator.
	Votes bool
	Log   *slog.Logger
	// Sigs verifies transactions, and Ballots what validators sign.
	Sigs, Ballots sig.Checker
	Workers       int // that verify votes
	Lanes         NewLane
	// Deliver takes completions, in the order of each lane. It must not wait, nor call Do:
	// Do itself calls it for a job that no lane has room for.
	Deliver func([]driver.Event)
	Outside Outside
}

// Shell carries effects out. Do is for one caller at a time.
type Shell struct {
	o       Options
	network [32]byte // the genesis ID
	quiet   *quiet.Log

	archive *archive.Archive
	journal *journal.Journal // the log lane's from Open on; nil without a log to vote with
	trust   *trust

	lanes    [laneCount]*worker
	numbers  atomic.Uint64  // of jobs
	verifier *pbft.Verifier // of the last Committee; Do's

	written   bool        // the log lane's: something was appended and not synced
	logGone   atomic.Bool // LogFailed was said
	storeGone atomic.Bool // StoreFailed was said

	installing sync.Mutex // held by Install and by each Sync that SyncStore asks for
	transfer   transfer
	bodies     atomic.Uint64 // below which bodies may go, as the last SyncStore said
}

// Open opens log and archive, carries out again what the log has and the archive has not,
// and returns what a Driver begins with. A log that cannot be trusted does not fail Open.
// The error wraps pbft.ErrDiverged if this peer's state is not what others have signed.
func Open(ctx context.Context, o Options) (*Shell, driver.Recovered, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.StateEvery == 0 {
		o.StateEvery = driver.DefaultStateEvery
	}
	s := &Shell{o: o, network: o.Genesis.ID(), quiet: quiet.New(o.Log)}
	r, err := s.reopen(ctx)
	if err != nil {
		return nil, driver.Recovered{}, errors.Join(err, s.closeFiles())
	}
	s.openLanes()
	return s, r, nil
}

// Archive returns the archive, for reading.
func (s *Shell) Archive() *archive.Archive { return s.archive }

// Learn takes up a change of the validators that a source shows, once it is verified. One
// that is known already is not looked at. The errors are receipt.Chain's. It is safe for
// concurrent use with all else.
func (s *Shell) Learn(hop receipt.Hop) error { return s.trust.learn(hop) }

// Known returns the block behind which the latest validators are in office that this peer
// has proof of, and whether it is known who ordered a block, and who comes after it: a
// source of a head that is not covered is to be asked for hops behind the latest. It is
// safe for concurrent use.
func (s *Shell) Known(h *pbft.Header) (latest uint64, covered bool) {
	head, _ := s.archive.Head()
	return s.trust.latest(), h.Seq <= head || s.trust.covers(h)
}

// Close drops the jobs that wait, ends those that run, and closes the files: what was
// appended and kept is durable then. Nothing is delivered after it, and Do must not be
// called any more. It must not be called by what Deliver calls.
func (s *Shell) Close() error {
	for _, w := range s.lanes {
		w.lane.Close()
	}
	return s.closeFiles()
}

func (s *Shell) closeFiles() error {
	var errs []error
	if s.journal != nil {
		errs = append(errs, s.journal.Close())
	}
	if s.archive != nil {
		errs = append(errs, s.archive.Close())
	}
	return errors.Join(errs...)
}
