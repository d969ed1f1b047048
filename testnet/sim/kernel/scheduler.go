package kernel

// Scheduler is the clock of a run and the queue of what is going to happen. The
// zero value is ready: it is time 0, and nothing is going to happen.
type Scheduler struct {
	now    Time
	queue  queue
	events int
}

// Now returns the time.
func (s *Scheduler) Now() Time { return s.now }

// Events returns how many events have happened.
func (s *Scheduler) Events() int { return s.events }

// Waiting returns how many events are going to happen.
func (s *Scheduler) Waiting() int { return len(s.queue.heap) }

// After does something when a time has passed; a negative one counts as 0. What is
// due at the same time happens in the order of the calls.
func (s *Scheduler) After(d Time, do func()) { s.queue.push(s.now+max(d, 0), do) }

// At does something at a time, or next if that has passed.
func (s *Scheduler) At(at Time, do func()) { s.queue.push(max(at, s.now), do) }

// Next returns the time of the next event; ok is false when there is none.
func (s *Scheduler) Next() (at Time, ok bool) {
	if len(s.queue.heap) == 0 {
		return 0, false
	}
	return s.queue.heap[0].at, true
}

// Step has the next event happen, at its time. It returns false when there is none.
func (s *Scheduler) Step() bool {
	e, ok := s.queue.pop()
	if !ok {
		return false
	}
	s.now = e.at
	s.events++
	e.do()
	return true
}

// RunUntil has everything happen that is due up to a time, which it is then.
func (s *Scheduler) RunUntil(end Time) {
	for {
		at, ok := s.Next()
		if !ok || at > end {
			break
		}
		s.Step()
	}
	s.now = max(s.now, end)
}
