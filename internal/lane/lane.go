package lane

import (
	"context"
	"sync"
)

// Lane is a lane with goroutines, one for each worker. It is safe for concurrent use.
type Lane[J, R any] struct {
	work    Work[J, R]
	deliver func([]Completion[R])
	workers sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond // something waits, or the lane is closed
	queue   *Queue[J, R]
	cancel  map[*Batch[J, R]]context.CancelFunc // of the batches that run
	closed  bool
}

// New starts a lane. The caller must close it.
func New[J, R any](o Options[J], work Work[J, R], deliver func([]Completion[R])) *Lane[J, R] {
	l := &Lane[J, R]{work: work, deliver: deliver, queue: NewQueue[J, R](o), cancel: map[*Batch[J, R]]context.CancelFunc{}}
	l.changed = sync.NewCond(&l.mu)
	for range max(1, o.Workers) {
		l.workers.Go(l.serve)
	}
	return l
}

// Submit adds a job under a number of the caller's. It never waits: it returns ErrFull,
// ErrHalted or ErrClosed if it did not accept the job.
func (l *Lane[J, R]) Submit(number uint64, job J) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.queue.Submit(number, job); err != nil {
		return err
	}
	l.changed.Signal()
	return nil
}

// Cancel says that the result of a job is not wanted any more. It returns true if the
// job was waiting, and will have no completion.
func (l *Lane[J, R]) Cancel(number uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, unwanted := l.queue.Cancel(number)
	if unwanted != nil {
		l.cancel[unwanted]()
	}
	return waiting
}

// Load returns what the lane has to do.
func (l *Lane[J, R]) Load() Load {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Load()
}

// Close drops what waits, cancels what runs, and returns when all that ran is delivered.
// It may be called again, and waits then too.
func (l *Lane[J, R]) Close() {
	l.mu.Lock()
	l.closed = true
	l.queue.Close()
	for _, cancel := range l.cancel {
		cancel()
	}
	l.changed.Broadcast()
	l.mu.Unlock()
	l.workers.Wait()
}

// serve runs batches until the lane is closed.
func (l *Lane[J, R]) serve() {
	for {
		ctx, b := l.next()
		if b == nil {
			return
		}
		err := l.work(ctx, b.Jobs, b.Results)
		// The same goroutine delivers before it starts the next batch: this is what
		// keeps the order of a lane with one worker.
		l.deliver(l.finish(b, err))
	}
}

// next waits for a batch. It returns nil when the lane is closed.
func (l *Lane[J, R]) next() (context.Context, *Batch[J, R]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if b := l.queue.Start(); b != nil {
			ctx, cancel := context.WithCancel(context.Background())
			l.cancel[b] = cancel
			return ctx, b
		}
		if l.closed {
			return nil, nil
		}
		l.changed.Wait()
	}
}

func (l *Lane[J, R]) finish(b *Batch[J, R], err error) []Completion[R] {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel[b]()
	delete(l.cancel, b)
	return l.queue.Finish(b, err)
}
