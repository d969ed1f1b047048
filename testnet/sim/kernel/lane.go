package kernel

import (
	"context"
	"slices"

	"github.com/decube/decube/internal/lane"
)

// Lane is a lane in virtual time: it keeps the contract of package lane on the queue
// of events. It belongs to one life of its host's program.
//
// A batch takes a time that is drawn when it starts; its work is done, in no time, at
// the end of that. So whatever the work changes is changed when its completions are
// delivered, and a crash finds it undone: see Crash.
type Lane[J, R any] struct {
	host     *Host
	queue    *lane.Queue[J, R]
	work     lane.Work[J, R]
	takes    func(jobs []J) Time
	deliver  func([]lane.Completion[R])
	running  []*run[J, R] // in the order in which they started
	starting bool         // an event is going to start batches
}

// run is a batch on its way.
type run[J, R any] struct {
	batch    *lane.Batch[J, R]
	unwanted bool
	ended    bool
}

// NewLane returns a lane. takes is asked how long each batch takes when it starts.
func NewLane[J, R any](h *Host, o lane.Options[J], work lane.Work[J, R], takes func(jobs []J) Time, deliver func([]lane.Completion[R])) *Lane[J, R] {
	return &Lane[J, R]{host: h, queue: lane.NewQueue[J, R](o), work: work, takes: takes, deliver: deliver}
}

// Submit adds a job. An idle lane starts it at the present instant, with what else is
// submitted before the events go on: goroutines would as well not have woken yet.
func (l *Lane[J, R]) Submit(number uint64, job J) error {
	if err := l.queue.Submit(number, job); err != nil {
		return err
	}
	if !l.starting {
		l.starting = true
		l.host.After(0, func() {
			l.starting = false
			l.start()
		})
	}
	return nil
}

// Cancel says that the result of a job is not wanted any more. It returns true if the
// job was waiting, and will have no completion.
func (l *Lane[J, R]) Cancel(number uint64) bool {
	waiting, unwanted := l.queue.Cancel(number)
	for _, r := range l.running {
		if r.batch == unwanted {
			r.unwanted = true
			l.host.After(0, func() { l.end(r) })
		}
	}
	return waiting
}

// Load returns what the lane has to do.
func (l *Lane[J, R]) Load() lane.Load { return l.queue.Load() }

// Close drops what waits, and ends what runs at once, as canceled.
func (l *Lane[J, R]) Close() {
	l.queue.Close()
	for _, r := range slices.Clone(l.running) {
		r.unwanted = true
		l.end(r)
	}
}

// Crash ends the lane with its program: nothing is delivered any more. It calls
// interrupted, unless that is nil, with each batch that was running, in the order in
// which they started. To have a crash in the middle of a write, make the disk lose
// power at one of its next operations, and do the work there.
func (l *Lane[J, R]) Crash(interrupted func(jobs []J)) {
	l.queue.Close()
	running := l.running
	l.running = nil
	for _, r := range running {
		r.ended = true
		if interrupted != nil {
			interrupted(r.batch.Jobs)
		}
	}
}

func (l *Lane[J, R]) start() {
	for {
		b := l.queue.Start()
		if b == nil {
			return
		}
		r := &run[J, R]{batch: b}
		l.running = append(l.running, r)
		l.host.After(l.takes(b.Jobs), func() { l.end(r) })
	}
}

func (l *Lane[J, R]) end(r *run[J, R]) {
	if r.ended {
		return
	}
	r.ended = true
	i := slices.Index(l.running, r)
	l.running = slices.Delete(l.running, i, i+1)
	ctx, cancel := context.WithCancel(context.Background())
	if r.unwanted {
		cancel()
	}
	err := l.work(ctx, r.batch.Jobs, r.batch.Results)
	cancel()
	l.deliver(l.queue.Finish(r.batch, err))
	l.start()
}
