package lane_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/internal/lane/lanetest"
)

func TestLane(t *testing.T) {
	lanetest.Run(t, func(t *testing.T) lanetest.World {
		t.Helper()
		w := &world{poke: make(chan struct{}, 1)}
		t.Cleanup(w.end)
		return w
	})
}

// world holds every batch back until the suite ends it. It knows that a lane is quiet
// by counting: each batch enters the work, leaves it, and is delivered.
type world struct {
	poke chan struct{} // something has changed

	mu        sync.Mutex
	now       int
	workers   int
	lane      *lane.Lane[lanetest.Job, uint64]
	running   []*batch // in the work, in the order in which they entered
	left      int
	delivered int
}

type batch struct {
	jobs     []lanetest.Job
	due      int
	canceled map[uint64]bool
	end      chan struct{}
}

// unwanted reports whether the lane cancels the batch.
func (b *batch) unwanted() bool { return len(b.canceled) == len(b.jobs) }

func (w *world) end() {
	if w.lane != nil {
		w.lane.Close()
	}
}

// New implements lanetest.World.
func (w *world) New(o lane.Options[lanetest.Job], work lane.Work[lanetest.Job, uint64], deliver func([]lane.Completion[uint64])) lanetest.Lane {
	w.end()
	w.workers, w.left, w.delivered = o.Workers, 0, 0
	w.lane = lane.New(o, func(ctx context.Context, jobs []lanetest.Job, results []uint64) error {
		w.hold(ctx, jobs)
		return work(ctx, jobs, results)
	}, func(done []lane.Completion[uint64]) {
		deliver(done)
		w.change(func() { w.delivered++ })
	})
	return &subject{w.lane, w}
}

func (w *world) change(do func()) {
	w.mu.Lock()
	do()
	w.mu.Unlock()
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// hold returns when a batch may end.
func (w *world) hold(ctx context.Context, jobs []lanetest.Job) {
	b := &batch{jobs: jobs, canceled: map[uint64]bool{}, end: make(chan struct{})}
	w.change(func() {
		b.due = w.now + jobs[0].Takes
		w.running = append(w.running, b)
	})
	select {
	case <-b.end:
	case <-ctx.Done():
	}
	w.change(func() {
		w.running = slices.DeleteFunc(w.running, func(x *batch) bool { return x == b })
		w.left++
	})
}

// quiet reports whether only the end of a batch can change anything.
func (w *world) quiet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	load := w.lane.Load()
	return load.Running == len(w.running) && (load.Waiting == 0 || load.Running == w.workers) && w.left == w.delivered &&
		!slices.ContainsFunc(w.running, (*batch).unwanted)
}

// Settle implements lanetest.World.
func (w *world) Settle() {
	for !w.quiet() {
		<-w.poke
	}
}

// Next implements lanetest.World.
func (w *world) Next() bool {
	w.mu.Lock()
	if len(w.running) == 0 {
		w.mu.Unlock()
		return false
	}
	first := slices.MinFunc(w.running, func(a, b *batch) int { return a.due - b.due })
	w.now = first.due
	close(first.end)
	left := w.left
	w.mu.Unlock()
	for {
		w.mu.Lock()
		gone := w.left > left
		w.mu.Unlock()
		if gone {
			break
		}
		<-w.poke
	}
	w.Settle()
	return true
}

// subject tells the world which batches will be canceled.
type subject struct {
	*lane.Lane[lanetest.Job, uint64]
	w *world
}

// Cancel implements lanetest.Lane.
func (s *subject) Cancel(number uint64) bool {
	waiting := s.Lane.Cancel(number)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, b := range s.w.running {
		if slices.ContainsFunc(b.jobs, func(j lanetest.Job) bool { return j.Number == number }) {
			b.canceled[number] = true
		}
	}
	return waiting
}

// Many goroutines submit to a lane with many workers, and each job is done once.
func TestConcurrentUse(t *testing.T) {
	const submitters, jobs = 8, 500
	var (
		mu   sync.Mutex
		seen = map[uint64]int{}
		full sync.WaitGroup
	)
	full.Add(submitters * jobs)
	l := lane.New(lane.Options[int]{Workers: 4, Backlog: 1 << 30, Batch: lane.Bounds{Jobs: 16}},
		func(_ context.Context, jobs []int, results []int) error {
			copy(results, jobs)
			return nil
		},
		func(done []lane.Completion[int]) {
			mu.Lock()
			defer mu.Unlock()
			for _, c := range done {
				if c.Err != nil || c.Result != int(c.Number) {
					t.Errorf("%+v", c)
				}
				seen[c.Number]++
				full.Done()
			}
		})
	for s := range submitters {
		go func() {
			for i := range jobs {
				n := s*jobs + i
				if err := l.Submit(uint64(n), n); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	full.Wait()
	l.Close()
	for n, times := range seen {
		if times != 1 {
			t.Errorf("job %d was completed %d times", n, times)
		}
	}
	if len(seen) != submitters*jobs {
		t.Errorf("%d jobs of %d", len(seen), submitters*jobs)
	}
}

// Close while others submit: what was accepted is completed or dropped, and nothing
// is delivered behind it.
func TestCloseUnderLoad(t *testing.T) {
	var mu sync.Mutex
	closed, late := false, false
	l := lane.New(lane.Options[int]{Workers: 3, Backlog: 10_000},
		func(context.Context, []int, []int) error { return nil },
		func([]lane.Completion[int]) {
			mu.Lock()
			defer mu.Unlock()
			late = late || closed
		})
	var submitters sync.WaitGroup
	for range 4 {
		submitters.Go(func() {
			for n := uint64(0); ; n++ {
				if err := l.Submit(n, 0); errors.Is(err, lane.ErrClosed) {
					return
				}
			}
		})
	}
	l.Close()
	mu.Lock()
	closed = true
	mu.Unlock()
	submitters.Wait()
	mu.Lock()
	defer mu.Unlock()
	if late {
		t.Error("delivered after Close")
	}
}
