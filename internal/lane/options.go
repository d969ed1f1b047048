package lane

import (
	"context"
	"errors"
)

var (
	// ErrFull is returned by Submit for a job that the backlog has no room for. The lane
	// is as it was.
	ErrFull = errors.New("the lane is full")
	// ErrClosed is returned by Submit after Close.
	ErrClosed = errors.New("the lane is closed")
	// ErrHalted is returned by Submit, and completes the jobs that were waiting, after a
	// failure in a lane that halts. It comes with the cause.
	ErrHalted = errors.New("the lane has halted")
)

// Work does the jobs of a batch and sets the result of each. An error is the failure
// of all of them, whatever was set. The context ends when nobody wants the results any
// more; work that must not be done by halves does not look at it. Neither slice belongs
// to it after it returns.
type Work[J, R any] func(ctx context.Context, jobs []J, results []R) error

// Completion is the end of a job.
type Completion[R any] struct {
	Number uint64
	Result R     // if Err is nil
	Err    error // of the batch, or ErrHalted
}

// Cost is what a job counts for.
type Cost struct {
	Units int   // of work: records, signatures
	Bytes int64 // of memory, until it is completed
}

// Bounds are the most that a batch collects; 0 is no bound. A job that is beyond them
// by itself has a batch of its own.
type Bounds struct {
	Jobs  int
	Units int
	Bytes int64
}

// Options are how a lane works.
type Options[J any] struct {
	// Workers is how many batches run at a time. It is at least 1: one keeps the order.
	Workers int
	// Batch bounds what is collected into one batch.
	Batch Bounds
	// Backlog is the most bytes of jobs in the lane. Each job counts for JobBytes more
	// than its cost.
	Backlog int64
	// Halts makes the first failure the last.
	Halts bool
	// Cost returns what a job counts for; nil is nothing, JobBytes aside.
	Cost func(J) Cost
}

// JobBytes is what the lane itself needs for a job, in bytes.
const JobBytes = 128

// Load is what a lane has to do.
type Load struct {
	Waiting int   // jobs
	Running int   // batches
	Bytes   int64 // of all jobs in the lane, JobBytes included
}
