package exchange

import (
	"slices"
	"time"
)

// replace ends sessions that are to give up their places to those who wait.
func (t *table) replace(u *use, out *moves, now time.Time) {
	for u.ending < u.ready {
		m, err := t.loser(u, now)
		if m == nil {
			return
		}
		t.end(out, m, err)
		u.ending++
	}
}

// loser returns who gives up its place next, and why; nil if nobody does.
func (t *table) loser(u *use, now time.Time) (*member, error) {
	next := t.waiting(u)
	if m := t.crowding(u, next); m != nil {
		return m, errCrowded
	}
	if m := t.unproved(u, next); m != nil {
		return m, errCrowded
	}
	// The fastest stays: of many that share a slow line, all would begin anew for ever.
	fastest, median := t.rates()
	may := func(m *member) bool { return m.phase == placed && !m.ended && m != fastest }
	longest := func(m, o *member) int { return m.pace.moved.Compare(o.pace.moved) }
	if m := t.first(func(m *member) bool { return may(m) && m.pace.quiet(now) >= t.limits.Quiet }, longest); m != nil {
		// When nobody is brisk, this peer's own line may be why.
		if m.sent.Load() == 0 || t.brisk(now) {
			return m, errQuiet
		}
		if now.Sub(t.lulled) >= t.limits.Quiet {
			t.lulled = now
			return m, errTooSlow
		}
	}
	if !t.came && now.Sub(t.tried) >= t.limits.HedgeDelay {
		silent := func(m *member) bool {
			return may(m) && m.sent.Load() == 0 && m.pace.quiet(now) >= 4*t.limits.HedgeDelay
		}
		if m := t.first(silent, longest); m != nil {
			t.tried = now
			return m, errTooSlow
		}
	}
	slow := func(m *member) bool {
		return may(m) && m.pace.owing && m.pace.measured >= t.limits.Quiet && m.pace.rate < median/slowPart && next.losses <= m.losses
	}
	if m := t.first(slow, func(m, o *member) int { return int(m.pace.rate) - int(o.pace.rate) }); m != nil {
		return m, errSlow
	}
	// Those that send just fast enough could keep all others out for ever. It is one at a
	// time, so that of many that share a slow line most go on with what they have begun.
	blockless := func(m *member) bool { return may(m) && now.Sub(m.brought) >= t.limits.StallTimeout }
	if m := t.first(blockless, func(m, o *member) int { return m.brought.Compare(o.brought) }); m != nil && now.Sub(t.cleared) >= t.limits.StallTimeout {
		t.cleared = now
		return m, errTooSlow
	}
	return nil, nil
}

// crowding returns who gives up its place because its prefix has more than PeersPerPrefix,
// while the next one is of a prefix that has fewer: the slowest, and of those the last that
// came. It is one at a time, and nobody who would have the place again at once.
func (t *table) crowding(u *use, next *member) *member {
	per := t.limits.PeersPerPrefix
	if u.ending > 0 || u.places[next.at.prefix] >= per {
		return nil
	}
	crowds := func(m *member) bool {
		return m.phase == placed && u.places[m.at.prefix] > per && t.yields(u.places, m, next)
	}
	return t.first(crowds, func(m, o *member) int {
		return firstOf(u.places[o.at.prefix]-u.places[m.at.prefix], int(m.pace.rate)-int(o.pace.rate), o.seq-m.seq)
	})
}

// unproved returns who gives up its place to one that has delivered before, or was named: of
// those that have not, and have brought nothing yet, the last that came. Whoever answers
// first must not keep out whom this peer knows.
func (t *table) unproved(u *use, next *member) *member {
	if u.ending > 0 || !next.preferred() || u.places[next.at.prefix] >= t.limits.PeersPerPrefix {
		return nil
	}
	return t.first(func(m *member) bool {
		return m.phase == placed && !m.preferred() && m.blocks == 0 && t.yields(u.places, m, next)
	}, func(m, o *member) int { return o.seq - m.seq })
}

// rates returns the fastest of those with a place, nil while nothing has come, and the
// median rate of those whose rate is known.
func (t *table) rates() (fastest *member, median float64) {
	var known []float64
	for _, m := range t.order {
		if m.phase != placed || m.pace.measured == 0 {
			continue
		}
		known = append(known, m.pace.rate)
		if m.pace.rate > 0 && (fastest == nil || m.pace.rate > fastest.pace.rate) {
			fastest = m
		}
	}
	if len(known) == 0 {
		return nil, 0
	}
	slices.Sort(known)
	return fastest, known[len(known)/2]
}

// brisk reports whether anybody with a place sends what it is asked for.
func (t *table) brisk(now time.Time) bool {
	return slices.ContainsFunc(t.order, func(m *member) bool {
		return m.phase == placed && m.pace.mark > 0 && m.pace.quiet(now) < t.limits.Quiet
	})
}

// look sees how much has come of each who has a session.
func (t *table) look(now time.Time) {
	for _, m := range t.order {
		if m.running() {
			m.pace.look(m.sent.Load(), m.probing() || m.owes.Load(), int64(t.limits.MinProgress), now)
		}
	}
}
