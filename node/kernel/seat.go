package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/decube/decube/api"
)

const (
	drainWithin  = 10 * time.Second // of all parts together
	stopWithin   = 5 * time.Second  // of one part
	againFirst   = time.Second      // until a part that failed runs again; doubles
	againSlowest = 5 * time.Minute
)

// seat is a part in its place in the list.
type seat struct {
	Part

	log     *slog.Logger
	kernel  *Kernel
	gate    *gate
	running Running

	cancel context.CancelFunc // nil before start
	done   chan struct{}      // closed when the part has stopped by itself, or as it was told
	err    error              // of Run while it stopped as it was told, to be read after done

	mu      sync.Mutex
	failed  error         // why it has stopped by itself
	drained chan struct{} // closed when Drain has returned; nil if it was never called

	closing sync.Once
	closed  error
}

func newSeat(p Part, k *Kernel) *seat {
	s := &seat{Part: p, log: k.Log, kernel: k, gate: newGate(p.Name())}
	k.Available = s.gate.err
	return s
}

// open opens the part.
func (s *seat) open(ctx context.Context) (err error) {
	if s.running, err = s.Open(ctx, s.kernel); err != nil {
		return fmt.Errorf("opening %s: %w", s.Name(), err)
	}
	for i := range s.running.Routes {
		s.running.Routes[i].Gate = s.gate.enter
	}
	s.gate.open()
	return nil
}

// start runs the part until stop.
func (s *seat) start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		s.run(ctx)
	}()
}

// run runs the part until ctx is done or it fails for good.
func (s *seat) run(ctx context.Context) {
	if s.running.Run == nil {
		return
	}
	for pause := againFirst; ; pause = min(2*pause, againSlowest) {
		began := time.Now()
		err := s.running.Run(ctx)
		if ctx.Err() != nil {
			s.err = s.wrap(err)
			return
		}
		if err == nil {
			return // there is nothing to do
		}
		if !s.running.Again {
			s.fail(err)
			return
		}
		if time.Since(began) > againSlowest {
			pause = againFirst
		}
		s.log.Warn("a part has failed and is run again", "part", s.Name(), "after", pause, "err", err)
		s.gate.pause(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			s.gate.open()
		}
	}
}

// fail stops what is left of a part whose Run has failed.
func (s *seat) fail(err error) {
	s.log.Error("a part has stopped; the node goes on without it", "part", s.Name(), "err", err)
	s.mu.Lock()
	s.failed = err
	s.mu.Unlock()
	if !s.left(s.gate.close(err), time.After(stopWithin)) {
		s.log.Error("a part that has stopped stays open: it is still asked", "part", s.Name())
		return
	}
	if err := s.close(); err != nil {
		s.log.Error("a part that has stopped was not closed", "part", s.Name(), "err", err)
	}
}

// left waits until nobody is inside any more, who asks and who drains, and reports whether
// that was in time.
func (s *seat) left(nobody <-chan struct{}, late <-chan time.Time) bool {
	for _, ended := range []<-chan struct{}{nobody, s.draining()} {
		select {
		case <-ended:
		case <-late:
			return false
		}
	}
	return true
}

// draining returns what is closed while nobody drains the part.
func (s *seat) draining() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained == nil {
		s.drained = make(chan struct{})
		close(s.drained)
	}
	return s.drained
}

// beginDrain says that Drain is about to be called, and returns what says that it has
// returned; nil where there is nothing to drain.
func (s *seat) beginDrain() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running.Drain == nil || s.failed != nil || s.gate.err() != nil {
		return nil
	}
	done := make(chan struct{})
	s.drained = done
	return func() { close(done) }
}

// drain ends what others began in the part. That there was no time for all of it is no error.
func (s *seat) drain(ctx context.Context) error {
	err := s.running.Drain(ctx)
	if ctx.Err() == nil {
		return s.wrap(err)
	}
	s.log.Debug("draining was cut off", "part", s.Name(), "err", err)
	return nil
}

// failure returns why the part has stopped by itself, or nil.
func (s *seat) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// stop has the part stop, without closing it. It reports whether all of it has ended.
func (s *seat) stop() (ended bool) {
	within := time.NewTimer(stopWithin)
	defer within.Stop()
	left := s.gate.close(errStopped)
	if s.cancel != nil {
		s.cancel()
		select {
		case <-s.done:
		case <-within.C:
			return false
		}
	}
	return s.left(left, within.C)
}

// close closes the part once.
func (s *seat) close() error {
	s.closing.Do(func() {
		s.gate.close(errStopped)
		if s.running.Close != nil {
			s.closed = s.wrap(s.running.Close())
		}
	})
	return s.closed
}

// wrap says whose error one is; nil stays nil.
func (s *seat) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.Name(), err)
}

// describe fills in what the status says of the part while it runs.
func (s *seat) describe(ctx context.Context, st *api.Status) {
	if s.running.Status == nil {
		return
	}
	if _, leave, err := s.gate.enter(ctx); err == nil {
		defer leave()
		s.running.Status(st)
	}
}

// warnings returns what an operator should know of the part.
func (s *seat) warnings(ctx context.Context) []string {
	if err := s.failure(); err != nil {
		return []string{fmt.Sprintf("%s: it has stopped, and the node goes on without it: %v; mend that and start the node again", s.Name(), err)}
	}
	if s.running.Warnings == nil {
		return nil
	}
	ctx, leave, err := s.gate.enter(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	defer leave()
	return s.running.Warnings(ctx)
}

// drain ends what others began in all parts, together.
func drain(ctx context.Context, seats []*seat) error {
	ctx, cancel := context.WithTimeout(ctx, drainWithin)
	defer cancel()
	errs := make([]error, len(seats))
	var draining sync.WaitGroup
	for i, s := range seats {
		end := s.beginDrain()
		if end == nil {
			continue
		}
		draining.Go(func() {
			defer end()
			errs[i] = s.drain(ctx)
		})
	}
	all := make(chan struct{})
	go func() {
		defer close(all)
		draining.Wait()
	}()
	select {
	case <-all:
		return errors.Join(errs...)
	case <-ctx.Done():
		return nil // whoever does not come back is named when it is stopped
	}
}

// errStuck is returned for a part that does not stop.
var errStuck = fmt.Errorf("it does not stop within %v", stopWithin)

// stop stops parts, the last first, and closes them. A part that does not stop is named, and
// what it may use stays open: stuck is true then.
func stop(seats []*seat) (stuck bool, err error) {
	var errs []error
	for _, s := range slices.Backward(seats) {
		if !s.stop() {
			stuck = true
			errs = append(errs, s.wrap(errStuck))
			continue
		}
		errs = append(errs, s.err)
		if !stuck {
			errs = append(errs, s.close())
		}
	}
	return stuck, errors.Join(errs...)
}
