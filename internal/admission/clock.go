package admission

import "time"

// Moved is told that the other side of a stream has sent n bytes, or has taken them. The
// first ones of a request begin its stage.
func (t *Table) Moved(now time.Time, p Place, n int64) {
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
// to be reset and then to leave. Next is when to ask again at the latest, zero while
// nothing is to be waited for; calls in between may bring it forward.
func (t *Table) Due(now time.Time) (late []Place, next time.Time) {
	var heaps []*heap
	if t.waiting(now) {
		for b := range t.soft {
			heaps = append(heaps, &t.soft[b])
		}
	}
	for _, h := range append(heaps, &t.hard) {
		for n := h.first(); n != nil; n = h.first() {
			at := n.stream.hard
			if h.by == bySoft {
				at = n.stream.soft
			}
			if at.After(now) {
				if next.IsZero() || at.Before(next) {
					next = at
				}
				break
			}
			late = append(late, n.stream.place)
			t.displace(n)
		}
	}
	return late, next
}

// waiting reports whether others wait.
func (t *Table) waiting(now time.Time) bool {
	return !t.waited.IsZero() && now.Sub(t.waited) < t.l.LeastTime
}
