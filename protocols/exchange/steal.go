package exchange

import (
	"slices"
	"time"
)

const (
	// worthTaking is the time a provider must still need before somebody else
	// takes work over from it.
	worthTaking = 100 * time.Millisecond
	// maxCopies is the most leases that bring the same ordinal, of providers that are
	// not hopeless.
	maxCopies = 2
	// hopeless is how long one block must seem to take until its provider counts no
	// more: two that drip would keep it from all others.
	hopeless = 30 * time.Second
	// briefly is how long it must be silent at least, seen every graceStep, when somebody
	// who is faster than that is idle.
	briefly = 5 * graceStep / 2
	// farLater is how many times as long a provider must need as another one that is idle.
	farLater = 4
	// farLess is the part of what another one has brought that is far less.
	farLess = 2
	// quiet is how long nothing may come of a block until its provider counts no more.
	quiet = 3 * time.Second
)

// takeOver takes the unfinished tail of the slowest provider's leases for h: the
// part that makes both end together. The block that is under way stays.
func (s *schedule) takeOver(h *holder, now time.Time) []int {
	victim, bytes, eta := s.slowest(h, now)
	if victim == nil || eta < worthTaking {
		return nil
	}
	theirs, ours := victim.rate.at(now), h.rate.at(now)
	if ours == 0 { // nothing is known about h yet: halve
		ours = max(theirs, 1)
	}
	want := min(int64(float64(bytes)*ours/(ours+theirs)), s.limits.LeaseMax)
	for i, l := range slices.Backward(victim.leases) {
		least := l.next
		if i == 0 {
			least++ // under way, or about to be
		}
		if l.underWay {
			least++ // the one after it is on its way already
		}
		if from := s.tail(h, l, least, want); from < l.keep {
			taken := slices.Clone(l.ordinals[from:l.keep])
			s.trim(victim, l, from)
			return s.dropDone(taken)
		}
	}
	return nil
}

// tail returns where the tail of l begins that h can bring, of at most want
// bytes but at least one block.
func (s *schedule) tail(h *holder, l *lease, least int, want int64) int {
	from := l.keep
	for bytes := int64(0); from > least && h.have.has(l.ordinals[from-1]); from-- {
		if bytes += s.size(l.ordinals[from-1]); bytes > want && from < l.keep {
			break
		}
	}
	return from
}

// trim cuts l to its first keep ordinals and has the provider told. The copies
// pass to whoever takes the rest.
func (s *schedule) trim(h *holder, l *lease, keep int) {
	l.keep = keep
	h.keeps = append(h.keeps, request{kind: askKeep, id: l.id, keep: keep})
}

// dropDone leaves out what came twice and is done.
func (s *schedule) dropDone(ordinals []int) []int {
	left := ordinals[:0]
	for _, o := range ordinals {
		if s.done.has(o) || s.verifying.has(o) {
			s.copies[o]--
			continue
		}
		left = append(left, o)
	}
	return left
}

// duplicate picks ordinals that another provider is about to send, for h to
// bring as well: the end of a fetch must not wait for one provider.
func (s *schedule) duplicate(h *holder, now time.Time) []int {
	victim, _, eta := s.slowest(h, now)
	if victim == nil || eta < worthTaking {
		return nil
	}
	var picked []int
	var bytes int64
	for _, l := range victim.leases {
		for _, o := range l.rest() {
			if s.done.has(o) || s.verifying.has(o) || !h.have.has(o) || !s.mayCopy(h, o, now) {
				continue
			}
			s.copies[o]++
			picked = append(picked, o)
			if bytes += s.size(o); bytes >= s.limits.LeaseMin {
				return picked
			}
		}
		if len(picked) > 0 { // one lease only: a request's ordinals ascend
			return picked
		}
	}
	return picked
}

// mayCopy reports whether h may bring an ordinal that is leased to others. Of those, such
// count that will bring it before long, and not far later than h would, and that have not
// brought far less than h: a crowd that takes turns at holding the last blocks must not keep
// them from who could bring them at once.
func (s *schedule) mayCopy(h *holder, ordinal int, now time.Time) bool {
	if s.copies[ordinal] < maxCopies {
		return true
	}
	size := s.size(ordinal)
	most, silence := maxETA, quiet
	if h.rate.perSecond > 0 {
		own := farLater * h.rate.eta(size, h.rate.last)
		most, silence = own+5*meterStep, min(quiet, max(own, briefly))
	}
	copies := 0
	for _, v := range s.holders {
		if v.brought < h.brought/farLess || now.Sub(v.rate.heard) >= silence || v.rate.eta(size, now) > most || !v.rate.hopes(size, now) {
			continue
		}
		for _, l := range v.leases {
			if _, brings := slices.BinarySearch(l.rest(), ordinal); brings {
				copies++
			}
		}
	}
	return copies < maxCopies
}

// slowest returns the provider other than h that will need the longest, what it
// still has to send and the time it needs for it.
func (s *schedule) slowest(h *holder, now time.Time) (*holder, int64, time.Duration) {
	var (
		victim *holder
		most   int64
		worst  time.Duration
	)
	for _, v := range s.holders {
		if v == h {
			continue
		}
		var bytes int64
		for _, l := range v.leases {
			for _, o := range l.rest() {
				// What came twice is no reason to choose somebody who will never send it.
				if !s.done.has(o) && !s.verifying.has(o) && h.have.has(o) && s.mayCopy(h, o, now) {
					bytes += s.size(o)
				}
			}
		}
		if bytes == 0 {
			continue
		}
		if eta := v.rate.eta(bytes, now); victim == nil || eta > worst {
			victim, most, worst = v, bytes, eta
		}
	}
	return victim, most, worst
}

// meter measures a rate as a moving average. The zero meter has seen nothing.
type meter struct {
	perSecond float64 // bytes
	since     time.Time
	bytes     int64
	last      time.Time // of the last block
	heard     time.Time // of the last bytes of one
}

const (
	meterStep   = 100 * time.Millisecond
	meterWeight = 0.3
	maxETA      = time.Hour
)

// begin starts the clock after a pause that says nothing about the rate.
func (m *meter) begin(now time.Time) { m.since, m.last, m.heard, m.bytes = now, now, now, 0 }

func (m *meter) add(bytes int64, now time.Time) {
	m.bytes += bytes
	m.last, m.heard = now, now
	d := now.Sub(m.since)
	if d < meterStep {
		return
	}
	r := float64(m.bytes) / d.Seconds()
	if m.perSecond == 0 {
		m.perSecond = r
	} else {
		m.perSecond += meterWeight * (r - m.perSecond)
	}
	m.since, m.bytes = now, 0
}

// at returns the rate as it looks at now: silence lowers it.
func (m *meter) at(now time.Time) float64 {
	silent := now.Sub(m.last)
	if silent < 5*meterStep || m.last.IsZero() {
		return m.perSecond
	}
	return m.perSecond / (1 + silent.Seconds())
}

// eta returns how long bytes will take. A provider that has sent nothing yet is taken to
// need as long again as it has been waited for, and for ever after five times the usual
// step; one that went silent is taken to stay silent for as long again, however fast it was.
func (m *meter) eta(bytes int64, now time.Time) time.Duration {
	r := m.at(now)
	if r <= 0 {
		if waited := now.Sub(m.last); waited >= 5*meterStep {
			return maxETA
		}
		return max(0, now.Sub(m.last))
	}
	eta := min(maxETA, time.Duration(float64(bytes)/r*float64(time.Second)))
	if silent := now.Sub(m.last); silent >= 5*meterStep {
		eta = max(eta, silent)
	}
	if silent := now.Sub(m.heard); silent >= briefly {
		eta = max(eta, silent)
	}
	return eta
}

// hopes reports whether bytes will come before long, as far as is known: a provider that
// has sent no block yet is waited for.
func (m *meter) hopes(bytes int64, now time.Time) bool {
	if m.perSecond == 0 {
		return now.Sub(m.last) < hopeless
	}
	return m.eta(bytes, now) < hopeless
}
