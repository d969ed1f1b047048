package exchange

import "time"

// located notes where a member is that was connected to.
func (t *table) located(m *member, at origin, now time.Time) {
	m.at, m.burden = at, t.conduct.burden(at.prefix, now)
	if m.phase == dialling {
		m.phase = asking
		m.pace.moved = now
	}
}

// admit notes that m holds the root, and reports whether it has a place. Whoever has none
// ends its session, and waits for a place without one.
func (t *table) admit(m *member, now time.Time) bool {
	m.answers++
	m.heard, m.busy, m.standing = true, false, holding
	if m.ended {
		return false
	}
	if m.phase != placed {
		if u := t.use(); u.placed >= t.limits.Peers {
			return false
		}
		t.enter(m, placed, now)
		m.standing = holding
	}
	return true
}

// ban ends the use of m for what it did, and reports whether that is new.
func (t *table) ban(m *member, how outcome, err error, now time.Time) bool {
	if m.standing == banned {
		return false
	}
	switch {
	case how == lied:
		m.lied, m.shunned = true, t.conduct.lied(m.info.ID, m.at, now)
	case m.at.known:
		m.shunned = t.conduct.stalled(m.info.ID, m.at, now)
	case !m.fresh:
		// It was never reached where others say that it is, who may be wrong, or want it to be
		// shunned: other fetches are not told, and another address ends it.
		m.unreached, m.shunned = true, now.Add(min(stallShunned<<min(m.tries, 6), maxStallShunned))
	}
	for _, o := range t.order {
		if m.at.known && o.at.prefix == m.at.prefix {
			o.burden++
		}
	}
	m.standing, m.err, m.delivered, m.dropped = banned, err, false, true
	return true
}

// leave notes the end of a session.
func (t *table) leave(m *member, how outcome, err error, now time.Time) {
	had := m.phase == placed
	m.phase, m.ended, m.cause, m.busy = idle, false, nil, how == refused
	if m.standing == banned {
		how = stuck // whatever ended the session, it was found out before
	}
	if had && m.brought.After(m.began) {
		m.failures = 0
	}
	switch how {
	case over: // all has come, or nobody is asked any more
		m.retryAt = now.Add(lackingPause)
	case held:
		m.phase = ready
	case moved:
		if had {
			m.phase = ready
		}
	case yielded:
		m.phase = ready
		m.losses++
	case lacked:
		m.heard = true
		m.standing, m.err = lacking, err
		m.retryAt = now.Add(min(lackingPause<<min(m.lacks, 8), maxLackingPause))
		m.lacks++
	case failed, refused:
		m.failures++
		m.tries++
		m.standing, m.err = waiting, err
		if m.retryAt = now.Add(t.limits.RetryDelay << min(m.failures-1, 16)); m.failures > t.limits.Retries {
			m.standing = failing
			m.retryAt = now.Add(min(lackingPause<<min(m.failures-t.limits.Retries-1, 8), maxLackingPause))
		}
	case stuck, lied:
		m.tries++
		m.retryAt = now.Add(min(t.limits.RetryDelay<<min(m.tries, 16), maxLackingPause))
	}
}

// credit notes a verified block of m.
func (t *table) credit(m *member, bytes int, now time.Time) {
	t.came = true
	m.blocks++
	m.bytes += int64(bytes)
	m.brought, m.dropped, m.lacks = now, m.standing == banned, 0
	if (!m.delivered || m.blocks == 1) && m.standing != banned && !now.Before(m.shunned) {
		m.delivered = true
		t.conduct.delivered(m.info.ID, m.at, now)
	}
}

// hopeful reports whether m, which brought blocks in this fetch, may bring more: it has a
// session and is not quiet, or it has said that it is busy.
func (m *member) hopeful(patience time.Duration, now time.Time) bool {
	if m.blocks == 0 || m.standing == banned || now.Before(m.shunned) {
		return false
	}
	return m.busy || m.phase == ready || m.probing() && m.began.Add(patience).After(now) || m.serves() && m.pace.owing && m.pace.quiet(now) < patience
}
