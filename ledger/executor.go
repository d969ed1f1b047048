package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/state"
)

// executor is the loop that owns the state: it executes blocks before they are
// committed, builds them when this replica leads, and stores them when they are.
//
//	engine --- check, build, deliver ---> executor ---> archive
//	   ^                                     |
//	   +--- checked, built, stored ----------+
type executor struct {
	*Ledger
	box *mailbox[any] // commands: see the types below

	head       *head
	view       uint64                              // of the core's, in this epoch
	ahead      map[pbft.Digest]*exec.Block         // valid blocks above the head that slots of the view name
	earlier    map[pbft.Digest]*exec.Block         // those of the view before, in case that they are asked for again
	accepted   map[pbft.Digest]pbft.AcceptedRecord // found in the log, of blocks above the head
	checks     []check                             // that wait for a parent, a body or their time
	offer      *pbft.Build                         // the block that this leader may propose
	built      time.Time                           // when it last proposed one
	synced     uint64                              // everything up to here is durable in the archive
	since      time.Time                           // of the oldest block that is not
	syncs      sync.WaitGroup
	storing    bool                        // the archive is made durable beside
	storeAgain bool                        // more is to be made durable then
	unstored   int                         // transactions since the last block whose state was stored
	passed     uint64                      // transactions committed since the start
	forwarded  struct{ at, passed uint64 } // when overdue ones were last sent again, in ticks, and passed then
	expired    uint64                      // when it was last looked for what waits too long, in ticks
	begun      map[pbft.Digest]time.Time   // when blocks in flight were first seen
}

// head is the last committed block with the state after it. It never changes.
type head struct {
	header pbft.Header
	digest pbft.Digest
	state  state.State
	epoch  uint64               // of the next block
	next   genesis.ValidatorSet // of the next block
}

// end returns the head as what the next block stands on.
func (h *head) end() *exec.Tip { return &exec.Tip{Header: h.header, Digest: h.digest, State: h.state} }

// Commands to the executor.
type (
	check struct {
		pbft.Check
		came  time.Time
		until int64 // when its time will have come, in Unix milliseconds, or 0
		late  bool  // its time was too far behind: it waits until a quorum vouches for it
	}
	entered struct{ view uint64 } // the core's view is another one
	build   struct{ pbft.Build }
	deliver struct{ decision *pbft.Decision }
	stable  struct{ cert *pbft.Certificate }
	wake    struct{}
	cancel  struct { // nothing in flight is of use: another epoch begins
		next *epoch
		done chan footing
	}
	apply struct {
		blocks []fetched
		done   chan error
	}
	install struct {
		transfer *archive.Transfer
		hops     []receipt.Hop
		end      *pbft.Decision // of the epoch before; nil if it is not needed
		verified pbft.Verified
		done     chan error
	}
	footing struct {
		from pbft.Resume // durable, and all that the core is told comes behind it
		err  error
	}
	archived struct { // the archive is durable up to a block, or cannot be
		seq uint64
		err error
	}
	proof   struct{ evidence pbft.Evidence }
	newView struct{ message *pbft.NewView }
	forward struct{}
)

// fetched is a block from a peer, whose certificate and transaction root were verified.
type fetched struct {
	decision *pbft.Decision
	verified pbft.Verified
	content  *body.Content
	next     genesis.ValidatorSet
}

const (
	// stateEvery is how many transactions are executed at most before the state is
	// stored between checkpoints: what many blocks change is then written once. After
	// a start, as many are executed again at most, which takes part of a second.
	stateEvery = 50_000
	// lookAgain is how often what waits is looked at, whatever happens.
	lookAgain = 100 * time.Millisecond
	// maxBegun is of how many blocks in flight it is remembered when they were first
	// seen, for the sake of observers.
	maxBegun = 2 * pbft.MaxWindow
	// syncAfter is how long a committed block may be in the log alone.
	syncAfter = 500 * time.Millisecond
)

// run executes until ctx ends. An error is a disk's, or the state's: this peer
// cannot go on.
func (x *executor) run(ctx context.Context) error {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer x.syncs.Wait()
	judging := false
	for {
		select {
		case <-ctx.Done():
			return x.store()
		case <-x.box.ready:
			for _, cmd := range x.box.take() {
				if err := x.do(cmd); err != nil {
					return err
				}
			}
		case <-ticker.C:
			x.expire()
			x.storeLater()
			judging = true
		case <-timer.C:
		}
		if err := x.retry(); err != nil {
			return err
		}
		x.fly()
		wait, err := x.propose()
		if err != nil {
			return err
		}
		// What is in a block within a tick need not be judged: nobody is suspected for it,
		// and to judge all that comes would be to carry it out once more. Where there was
		// junk, what is behind it is looked at without waiting for the next tick.
		if judging {
			if judging, err = x.judge(); err != nil {
				return err
			}
		}
		if next := x.ask(); next > 0 && (wait == 0 || next < wait) {
			wait = next
		}
		if wait > 0 {
			timer.Reset(wait)
		}
	}
}

func (x *executor) do(cmd any) error {
	switch cmd := cmd.(type) {
	case check:
		x.want(cmd)
	case entered:
		x.enter(cmd.view)
	case build:
		x.offer = &cmd.Build
	case deliver:
		return x.commit(cmd.decision)
	case stable:
		return x.certified(cmd.cert)
	case apply:
		cmd.done <- x.take(cmd.blocks)
	case install:
		cmd.done <- x.install(&cmd)
	case cancel:
		cmd.done <- x.stop(cmd.next)
	case proof:
		return x.keep("evidence", x.archive.PutEvidence(&cmd.evidence))
	case newView:
		return x.keep("NEW-VIEW", x.archive.PutNewView(cmd.message))
	case forked:
		return x.storeFork(cmd)
	case archived:
		return x.storedBeside(cmd)
	case forward:
		x.spreadOverdue()
	case wake:
	}
	return nil
}

// stop forgets what is in flight and returns what the core of the next epoch begins
// with. Whatever it is told afterwards comes behind that.
func (x *executor) stop(next *epoch) footing {
	x.clear()
	if err := x.store(); err != nil {
		return footing{err: err}
	}
	x.toEngine.take() // it was for the epoch before, or is in the head
	from, err := x.resume(next, x.journal)
	return footing{from, err}
}

// tell passes an event to the engine.
func (x *executor) tell(e pbft.Event) { x.toEngine.put(e) }

// keep returns what storing a message that may prove something came to. One that is too
// large to be stored is no reason to stop.
func (x *executor) keep(what string, err error) error {
	if errors.Is(err, archive.ErrTooLarge) {
		x.log.Warn("a proof is not kept", "what", what, "err", err)
		return nil
	}
	return err
}
