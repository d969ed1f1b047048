package follow

import (
	"slices"
	"time"
)

// measure finds out whether bytes come fast enough, over SlowAfter at a time: a burst
// at first does not excuse a trickle afterwards.
func (f *Follower) measure(a *ask) {
	window := SlowAfter
	if s := f.stripeOf(a); s != nil {
		window = stretched(SlowAfter, s.round)
	}
	if a.ended || f.now-a.markAt < window {
		return
	}
	rate := float64(a.got-a.markGot) / (f.now - a.markAt).Seconds()
	a.slow = rate < max(SlowRate, f.fastest(a.source)/4)
	a.markAt, a.markGot = f.now, a.got
}

func (f *Follower) stripeOf(a *ask) *stripe {
	for _, s := range f.stripes {
		if slices.Contains(s.asks, a) {
			return s
		}
	}
	return nil
}

// fastest returns the highest rate of the other sources that can be asked.
func (f *Follower) fastest(but *source) float64 {
	rate := 0.0
	for _, s := range f.sources {
		if s != but && s.rested(f.now) {
			rate = max(rate, s.rate)
		}
	}
	return rate
}

// stretched returns a time doubled so many times, up to MaxPatience.
func stretched(d time.Duration, times int) time.Duration { return doubled(d, times, MaxPatience) }

// escalate asks one more source for the stripe that everything waits for, when those
// that are asked are slow or late. When as many are asked as may be, the one of which
// least has come gives way. Each time all have been tried, all get twice as long: so
// an honest source on a slow line is given up a few times at most.
func (f *Follower) escalate(s *stripe, need uint64) {
	other := f.best(false, func(x *source) bool { return x.serves(need) && !slices.Contains(s.tried, x) })
	since := f.now - s.asked
	late := other != nil && other.stripe > 0 && since >= stretched(LateFactor*other.stripe, s.round)
	if !late && !(s.slow() && since >= stretched(SlowAfter, s.round)) && since < stretched(Patience, s.round) {
		return
	}
	for _, a := range s.asks {
		a.late = true
	}
	if other == nil {
		f.startRound(s, need)
		return
	}
	if s.count() >= together {
		f.fail(s.slowest().source, false)
	} else if !f.room(true) {
		f.fail(s.slowest().source, false)
	}
	if f.room(true) {
		f.openStripe(s, other, need)
	}
}

// startRound has all sources be tried again, with more patience. When there is nobody but
// those who are asked already, the slowest is given up: a line that is dead at one end
// does not say so, and the same source may answer when it is asked anew.
func (f *Follower) startRound(s *stripe, need uint64) {
	s.asked = f.now
	switch {
	case f.others(s, need):
		s.round++
		s.tried = s.tried[:0]
		for _, a := range s.asks {
			s.tried = append(s.tried, a.source)
		}
	case s.slow() && f.dropped(need) && f.bestCheckpoint() != nil:
		// The others have dropped the block and have a state: it is not for those who drip
		// to say when this peer is to have it. Until their next heads they have not got it.
		for _, a := range s.asks {
			if !a.ended {
				a.source.denied = need + 1
				f.fail(a.source, false)
			}
		}
	case s.slow() && f.now-s.slowest().latest >= stretched(Patience, s.round):
		s.round++
		f.fail(s.slowest().source, false)
	}
}

// dropped reports whether a source that is beyond a block says that it has not got it.
func (f *Follower) dropped(seq uint64) bool {
	return slices.ContainsFunc(f.sources, func(s *source) bool {
		return s.tip.Seq >= seq && s.first() > seq && s.lies == 0
	})
}

// others reports whether there is anybody to begin another round with.
func (f *Follower) others(s *stripe, need uint64) bool {
	return f.best(false, func(x *source) bool {
		for _, a := range s.asks {
			if a.source == x && !a.ended {
				return false
			}
		}
		return x.serves(need)
	}) != nil
}

// slow reports whether each source that is asked for the stripe is slow.
func (s *stripe) slow() bool {
	for _, a := range s.asks {
		if !a.ended && !a.slow {
			return false
		}
	}
	return true
}

func (s *stripe) count() int {
	n := 0
	for _, a := range s.asks {
		if !a.ended {
			n++
		}
	}
	return n
}

// slowest returns the open question with the least in answer.
func (s *stripe) slowest() *ask {
	var least *ask
	for _, a := range s.asks {
		if !a.ended && (least == nil || a.got < least.got) {
			least = a
		}
	}
	return least
}
