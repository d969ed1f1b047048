package admission

import "time"

// Moved is told that the other side of a stream has sent n bytes, or has taken them. The
// first ones of a request begin its stage.
func (t *Table) Moved(now time.Time, p Place, n int64) {
	t.now = now
	node := t.served(p)
	if node == nil || n <= 0 {
		return
	}
	s := node.stream
	node.moved = now
	switch s.stage {
	case Opening, Resting:
		s.stage, s.since = Reading, now
	case Writing:
		if s.taken += n; s.taken >= t.l.LeastBytes {
			s.since, s.spent, s.taken = now, 0, 0
		}
	case Reading, Working:
	}
	t.touch(node)
}

// Turn is told that a stream is in another stage. The other side has moved when it has
// brought that about: all but Writing and Opening are begun by it.
func (t *Table) Turn(now time.Time, p Place, stage Stage) {
	t.now = now
	node := t.served(p)
	if node == nil || node.stream.stage == stage {
		return
	}
	s := node.stream
	if s.stage == Writing {
		s.spent += now.Sub(s.since)
	}
	if stage == Resting { // the next request is another matter
		s.spent, s.taken = 0, 0
	}
	s.stage, s.since, node.moved = stage, now, now
	t.touch(node)
}

// touch puts a stream where it belongs after its clocks have changed.
func (t *Table) touch(n *node) {
	n.above.fix(n)
	for at := n.above; at != nil; at = at.above {
		at.settle()
	}
	t.clock(n)
}

// clock sets when the clocks of a stream run out.
func (t *Table) clock(n *node) {
	s := n.stream
	var hard, soft time.Time
	if !s.ending {
		switch s.stage {
		case Opening:
			hard = s.since.Add(t.l.FirstByte)
			soft = hard
		case Reading:
			hard = s.since.Add(t.l.Request)
			soft = earliest(hard, n.moved.Add(t.l.Leisure))
		case Writing:
			hard = n.moved.Add(t.l.Standstill)
			soft = earliest(hard, s.since.Add(t.l.LeastTime-s.spent))
		case Resting:
			hard = s.since.Add(t.l.Idle)
			soft = earliest(hard, s.since.Add(t.l.Leisure))
		case Working:
		}
	}
	if s.who.Class.band() == common {
		t.longest.rest(n, !s.ending && s.stage != Working && s.stage != Writing)
	}
	set(&t.hard, n, &s.hard, hard)
	set(&t.soft[s.who.Class.band()], n, &s.soft, soft)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// set moves one of a stream's clocks, which is in a heap while it runs.
func set(h *heap, n *node, at *time.Time, to time.Time) {
	ran := !at.IsZero()
	*at = to
	switch {
	case ran && to.IsZero():
		h.remove(n)
	case ran:
		h.fix(n)
	case !to.IsZero():
		h.add(n)
	}
}

// Due returns the streams whose clock has run out, which have lost their place: they are
// to be reset and then to leave. Next is that of Next.
func (t *Table) Due(now time.Time) (late []Place, next time.Time) {
	t.now = now
	for h, at := t.next(now); h != nil && !at.After(now); h, at = t.next(now) {
		n := h.first()
		late = append(late, n.stream.place)
		t.displace(n)
	}
	return late, t.Next(now)
}

// Next returns when Due is to be asked at the latest, zero while nothing is to be waited
// for. Any other call may bring it forward.
func (t *Table) Next(now time.Time) time.Time {
	t.now = now
	_, at := t.next(now)
	return at
}

// next returns the heap whose first clock runs out first, and when.
func (t *Table) next(now time.Time) (heap *heap, at time.Time) {
	if n := t.hard.first(); n != nil {
		heap, at = &t.hard, n.stream.hard
	}
	if !t.waiting(now) {
		return heap, at
	}
	for b := range t.soft {
		// A clock that runs for a while only does so before the other one of its stream.
		if n := t.soft[b].first(); n != nil && !n.stream.soft.After(at) {
			heap, at = &t.soft[b], n.stream.soft
		}
	}
	return heap, at
}

// waiting reports whether others wait.
func (t *Table) waiting(now time.Time) bool {
	return !t.waited.IsZero() && now.Sub(t.waited) < t.l.LeastTime
}
