package shell

import (
	"math"

	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/tx"
)

// laneID is one of the lanes.
type laneID int

const (
	logLane laneID = iota
	storeLane
	syncLane
	execLane
	judgeLane
	votesLane
	bodiesLane
	txsLane
	chainLane
	laneCount
)

// laneNames are what NewLane is told.
var laneNames = [laneCount]string{"log", "store", "sync", "exec", "judge", "votes", "bodies", "txs", "chain"}

const (
	// logRecords, storeBlocks, voteMessages and txSignatures are how much one batch
	// collects. More would not be cheaper for each, and would be later for the first.
	logRecords   = 256
	storeBlocks  = 32
	voteMessages = 64
	txSignatures = 1024
	// room is what a lane has room for whose jobs the driver bounds by other means: it
	// is more than those are, in bytes.
	room = 128 << 20
)

// worker is a lane with what its failures mean.
type worker struct {
	lane Lane
	// failed returns what the driver is told of a batch that failed, or of a job that
	// was not accepted: of the latter it is given the job.
	failed func(why error, refused driver.Effect) []driver.Event
}

// openLanes makes all lanes.
func (s *Shell) openLanes() {
	// What the driver has out at most is two windows of blocks, whatever size the
	// ledger's parameters will ever allow.
	blocks := 2 * int64(s.o.Core.Window+1) * int64(body.SizeLimit(math.MaxInt64, math.MaxInt64))
	one := lane.Bounds{Jobs: 1}
	s.open(logLane, lane.Options[Job]{Halts: true, Batch: lane.Bounds{Units: logRecords}, Backlog: blocks + room}, s.writeLog, s.logFailed)
	s.open(storeLane, lane.Options[Job]{Halts: true, Batch: lane.Bounds{Units: storeBlocks}, Backlog: room}, s.store, s.notStored)
	// Two workers: nobody's checkpoint waits for the room that tidying gives back.
	s.open(syncLane, lane.Options[Job]{Workers: 2, Halts: true, Batch: one, Backlog: room}, s.sync, s.storeFailed)
	s.open(execLane, lane.Options[Job]{Batch: one, Backlog: blocks + room}, s.execute, notExecuted)
	s.open(judgeLane, lane.Options[Job]{Batch: one, Backlog: room}, s.judge, notJudged)
	s.open(votesLane, lane.Options[Job]{Workers: s.o.Workers, Batch: lane.Bounds{Units: voteMessages}, Backlog: room}, s.checkVotes, votesUnchecked)
	signatures := lane.Bounds{Units: txSignatures}
	s.open(bodiesLane, lane.Options[Job]{Batch: signatures, Backlog: blocks + room}, s.checkTxs, txsUnchecked)
	s.open(txsLane, lane.Options[Job]{Batch: signatures, Backlog: room}, s.checkTxs, txsUnchecked)
	s.open(chainLane, lane.Options[Job]{Batch: one, Backlog: room}, s.checkChain, chainUnchecked)
}

func (s *Shell) open(id laneID, o lane.Options[Job], work lane.Work[Job, []driver.Event], failed func(error, driver.Effect) []driver.Event) {
	o.Workers = max(1, o.Workers)
	o.Cost = func(j Job) lane.Cost { return j.Cost }
	w := &worker{failed: failed}
	s.lanes[id] = w
	w.lane = s.o.Lanes(laneNames[id], o, work, func(done []lane.Completion[[]driver.Event]) { s.deliver(w, done) })
}

// deliver hands on what came of a batch.
func (s *Shell) deliver(w *worker, done []lane.Completion[[]driver.Event]) {
	var events []driver.Event
	for i := range done {
		if done[i].Err != nil {
			// Only lanes whose failure is the end of all fail: one event says it for the
			// batch and for what waited behind it.
			events = append(events, w.failed(done[i].Err, nil)...)
			continue
		}
		events = append(events, done[i].Result...)
	}
	for _, e := range events {
		if stored, ok := e.(driver.Stored); ok {
			s.tidyAfter(stored)
		}
	}
	if len(events) > 0 {
		s.o.Deliver(events)
	}
}

// submit hands a job to its lane, and returns what the driver is told if there is no
// room for it.
func (s *Shell) submit(id laneID, job Job) []driver.Event {
	w := s.lanes[id]
	if err := w.lane.Submit(s.numbers.Add(1), job); err != nil {
		return w.failed(err, job.Effect)
	}
	return nil
}

// costOfTxs returns what transactions count for.
func costOfTxs(txs []*tx.Transaction) lane.Cost {
	c := lane.Cost{Units: len(txs)}
	for _, t := range txs {
		c.Bytes += int64(tx.EncodedSize(t))
	}
	return c
}
