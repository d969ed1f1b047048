// Package lanetest is the suite for implementations of package lane's contract. It is
// in control of when jobs end, and waits for nothing else.
package lanetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/decube/decube/internal/lane"
)

// Lane is what the suite examines.
type Lane interface {
	Submit(number uint64, job Job) error
	Cancel(number uint64) bool
	Load() lane.Load
	Close()
}

// Job is a job of the suite. Its result is its number.
type Job struct {
	Number uint64
	Takes  int // how long a batch takes whose first job this is
	Cost   lane.Cost
	Fails  bool // has the batch fail
}

// World makes lanes and moves their time.
type World interface {
	// New returns a lane, to be closed by the World at the end of the test.
	New(o lane.Options[Job], work lane.Work[Job, uint64], deliver func([]lane.Completion[uint64])) Lane
	// Settle returns when nothing happens any more before a running batch ends.
	Settle()
	// Next ends the batch that ends first, counted from its start, and settles. It
	// returns false if none runs.
	Next() bool
}

// Run runs the suite in worlds of its own.
func Run(t *testing.T, world func(t *testing.T) World) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, World)
	}{
		{"one job", testOneJob},
		{"a busy lane collects", testCollects},
		{"batches are bounded", testBounds},
		{"workers", testWorkers},
		{"several workers collect", testWorkersCollect},
		{"the backlog is bounded", testBacklog},
		{"a failure that the lane survives", testFailure},
		{"a failure that halts the lane", testHalt},
		{"a failure beside another batch", testHaltWithWorkers},
		{"jobs that wait are canceled", testCancelWaiting},
		{"jobs that run are canceled", testCancelRunning},
		{"close", testClose},
		{"completions submit", testSubmitFromDeliver},
		{"any order of calls", testAnyOrder},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, world(t)) })
	}
}

var errWork = errors.New("the disk is gone")

// subject is a lane with all that the suite has seen of it.
type subject struct {
	World
	Lane

	mu       sync.Mutex                  // lanes may call from several goroutines
	finished [][]lane.Completion[uint64] // as they were delivered
}

// cost is the cost that a job says it has.
func cost(j Job) lane.Cost { return j.Cost }

// newSubject returns a lane whose completions are noted.
func newSubject(w World, o lane.Options[Job]) *subject {
	s := &subject{World: w}
	o.Cost = cost
	s.Lane = w.New(o, work, s.deliver)
	return s
}

// work sets the number of each job as its result, unless the batch is canceled or one
// of its jobs fails.
func work(ctx context.Context, jobs []Job, results []uint64) error {
	failed := false
	for i, j := range jobs {
		results[i] = j.Number
		failed = failed || j.Fails
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if failed {
		return errWork
	}
	return nil
}

func (s *subject) deliver(done []lane.Completion[uint64]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = append(s.finished, slices.Clone(done))
}

// submit submits a job that takes as long as it says, without cost, and settles.
func (s *subject) submit(t *testing.T, number uint64, takes int) {
	t.Helper()
	if err := s.Submit(number, Job{Number: number, Takes: takes}); err != nil {
		t.Fatalf("submit %d: %v", number, err)
	}
	s.Settle()
}

// finish has everything end that was submitted.
func (s *subject) finish() {
	for s.Next() {
		continue
	}
}

// done returns the completions so far as text, a batch each.
func (s *subject) done() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, batch := range s.finished {
		var jobs []string
		for _, c := range batch {
			jobs = append(jobs, show(c))
		}
		out = append(out, strings.Join(jobs, " "))
	}
	return out
}

// show returns a completion as its number, with what went wrong.
func show(c lane.Completion[uint64]) string {
	switch {
	case errors.Is(c.Err, lane.ErrHalted) && errors.Is(c.Err, errWork):
		return fmt.Sprintf("%d:halted", c.Number)
	case errors.Is(c.Err, errWork):
		return fmt.Sprintf("%d:failed", c.Number)
	case errors.Is(c.Err, context.Canceled):
		return fmt.Sprintf("%d:canceled", c.Number)
	case c.Err != nil:
		return fmt.Sprintf("%d:%v", c.Number, c.Err)
	case c.Result != c.Number:
		return fmt.Sprintf("%d:result %d", c.Number, c.Result)
	default:
		return fmt.Sprint(c.Number)
	}
}

// expect compares the completions so far.
func (s *subject) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := s.done(); !slices.Equal(got, want) {
		t.Errorf("completed %q, want %q", got, want)
	}
}

// load compares what the lane says it has to do.
func (s *subject) load(t *testing.T, waiting, running int, bytes int64) {
	t.Helper()
	if got, want := s.Load(), (lane.Load{Waiting: waiting, Running: running, Bytes: bytes}); got != want {
		t.Errorf("load %+v, want %+v", got, want)
	}
}
