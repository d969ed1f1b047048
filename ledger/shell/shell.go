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
package shell

import (
	"context"
	"errors"
	"log/slog"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/sig"
)

// Job is an effect on its way through a lane.
type Job struct {
	Effect driver.Effect
	Cost   lane.Cost
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
	// Votes says that this peer has a transport, and may be a validator.
	Votes bool
	Log   *slog.Logger
	// Sigs verifies transactions, and Ballots what validators sign.
	Sigs, Ballots *sig.Verifier
	Workers       int // that verify votes
	Lanes         NewLane
	// Deliver takes completions, in the order of each lane. It must not wait.
	Deliver func([]driver.Event)
	Outside Outside
}

// Shell carries effects out.
type Shell struct{}

// Open opens log and archive, carries out again what the log has and the archive has not,
// and returns what a Driver begins with. A log that cannot be trusted does not fail Open.
func Open(ctx context.Context, o Options) (*Shell, driver.Recovered, error) {
	return nil, driver.Recovered{}, errors.ErrUnsupported
}

// Do hands effects to their lanes and to what is outside, in order.
func (s *Shell) Do(effects []driver.Effect) {}

// Archive returns the archive, for reading.
func (s *Shell) Archive() *archive.Archive { return nil }

// Learn takes up a change of the validators that a source shows, once it is verified. It
// is safe for concurrent use with all else.
func (s *Shell) Learn(hop receipt.Hop) error { return nil }

// Known returns the block behind which the latest validators are in office that this peer
// has proof of, and whether it is known who ordered a block. It is safe for concurrent use.
func (s *Shell) Known(h *pbft.Header) (latest uint64, covered bool) { return 0, false }

// Close closes the lanes and then the files. Nothing is delivered after it.
func (s *Shell) Close() error { return nil }
