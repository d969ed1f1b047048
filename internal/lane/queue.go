package lane

import (
	"fmt"
	"slices"
)

// Queue is the order of a lane's jobs without anything that runs them: what waits,
// what goes into the next batch, what has ended. It is pure and belongs to one
// goroutine, or stands behind one lock; both kinds of lanes are made of it.
type Queue[J, R any] struct {
	options Options[J]
	waiting []entry[J]
	running []*Batch[J, R]
	bytes   int64
	halted  error // the cause
	closed  bool
}

type entry[J any] struct {
	number uint64
	job    J
	cost   Cost
}

// Batch is a number of jobs that are done as one.
type Batch[J, R any] struct {
	Jobs    []J
	Results []R // to be set by Work

	numbers  []uint64
	canceled []bool
	bytes    int64
}

// NewQueue returns an empty queue.
func NewQueue[J, R any](o Options[J]) *Queue[J, R] {
	o.Workers = max(1, o.Workers)
	return &Queue[J, R]{options: o}
}

// Submit adds a job, or returns ErrFull, ErrHalted or ErrClosed.
func (q *Queue[J, R]) Submit(number uint64, job J) error {
	switch {
	case q.closed:
		return ErrClosed
	case q.halted != nil:
		return q.haltError()
	}
	var cost Cost
	if q.options.Cost != nil {
		cost = q.options.Cost(job)
	}
	cost.Bytes += JobBytes
	// A lane without jobs accepts any: else a job larger than the backlog could never
	// be done, and whoever waits for room would wait for ever.
	if q.bytes > 0 && q.bytes+cost.Bytes > q.options.Backlog {
		return ErrFull
	}
	q.bytes += cost.Bytes
	q.waiting = append(q.waiting, entry[J]{number, job, cost})
	return nil
}

func (q *Queue[J, R]) haltError() error { return fmt.Errorf("%w: %w", ErrHalted, q.halted) }

// Start returns the next batch, which runs from now on, or nil if nothing waits or all
// workers are busy.
func (q *Queue[J, R]) Start() *Batch[J, R] {
	free := q.options.Workers - len(q.running)
	if free <= 0 || len(q.waiting) == 0 {
		return nil
	}
	// Free workers share what waits: a batch of all of it would leave them idle. The
	// next one calls Start too, and divides the rest.
	share := (len(q.waiting) + free - 1) / free
	n := q.fitting(share)
	b := &Batch[J, R]{Results: make([]R, n), canceled: make([]bool, n)}
	for i := range q.waiting[:n] {
		e := &q.waiting[i]
		b.Jobs = append(b.Jobs, e.job)
		b.numbers = append(b.numbers, e.number)
		b.bytes += e.cost.Bytes
	}
	clear(q.waiting[:n]) // the array lives on behind the rest
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	q.running = append(q.running, b)
	return b
}

// fitting returns how many of the first jobs, at most limit, go into one batch.
func (q *Queue[J, R]) fitting(limit int) int {
	bound := &q.options.Batch
	if bound.Jobs > 0 {
		limit = min(limit, bound.Jobs)
	}
	var sum Cost
	for i := range limit {
		cost := &q.waiting[i].cost
		sum.Units += cost.Units
		sum.Bytes += cost.Bytes - JobBytes
		if i > 0 && (bound.Units > 0 && sum.Units > bound.Units || bound.Bytes > 0 && sum.Bytes > bound.Bytes) {
			return i
		}
	}
	return limit
}

// Finish ends a batch whose work returned err, and returns what is to be delivered.
func (q *Queue[J, R]) Finish(b *Batch[J, R], err error) []Completion[R] {
	i := slices.Index(q.running, b)
	q.running = slices.Delete(q.running, i, i+1)
	q.bytes -= b.bytes
	out := make([]Completion[R], len(b.Jobs))
	for i, number := range b.numbers {
		out[i] = Completion[R]{Number: number, Err: err}
		if err == nil {
			out[i].Result = b.Results[i]
		}
	}
	if err == nil || !q.options.Halts || q.halted != nil {
		return out
	}
	q.halted = err
	for i := range q.waiting {
		out = append(out, Completion[R]{Number: q.waiting[i].number, Err: q.haltError()})
	}
	q.drop()
	return out
}

// Cancel takes a job that waits and returns true. Else it returns false, and the batch
// that it is in if nobody wants any of its results now.
func (q *Queue[J, R]) Cancel(number uint64) (waiting bool, unwanted *Batch[J, R]) {
	if i := slices.IndexFunc(q.waiting, func(e entry[J]) bool { return e.number == number }); i >= 0 {
		q.bytes -= q.waiting[i].cost.Bytes
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return true, nil
	}
	for _, b := range q.running {
		if i := slices.Index(b.numbers, number); i >= 0 {
			b.canceled[i] = true
			if !slices.Contains(b.canceled, false) {
				return false, b
			}
			return false, nil
		}
	}
	return false, nil
}

// Close refuses further jobs and drops those that wait.
func (q *Queue[J, R]) Close() {
	q.closed = true
	q.drop()
}

func (q *Queue[J, R]) drop() {
	for i := range q.waiting {
		q.bytes -= q.waiting[i].cost.Bytes
	}
	q.waiting = nil
}

// Load returns what there is to do.
func (q *Queue[J, R]) Load() Load {
	return Load{Waiting: len(q.waiting), Running: len(q.running), Bytes: q.bytes}
}
