package host

import "time"

const (
	// refusalsMost within refusalsWithin are so many that who is refused goes on regardless.
	refusalsMost   = 64
	refusalsWithin = 10 * time.Second
	// shunFor is how long that one is not let in again.
	shunFor = time.Minute
	// mostShunned bounds those who are remembered.
	mostShunned = 4096
	// roleRefusalsMost and shunRoleFor are the same for who has a role: so many are no accident
	// of a peer that others need, and it is away for as long as they need to come to be few.
	roleRefusalsMost = 16 * refusalsMost
	shunRoleFor      = refusalsWithin
)

// shunned knows who has been refused so often that it is of no use to talk to it. It is pure,
// and not safe for concurrent use.
type shunned[Holder comparable] struct {
	refusals *rates[Holder]
	lasts    time.Duration // for how long
	until    map[Holder]time.Time
}

// newShunned has who is refused more often than so many times within refusalsWithin shunned for
// a while.
func newShunned[Holder comparable](most int, lasts time.Duration) *shunned[Holder] {
	return &shunned[Holder]{newRates[Holder](most/int(refusalsWithin/time.Second), most-1), lasts, map[Holder]time.Time{}}
}

// refused counts a refusal, and reports whether that was one too many.
func (s *shunned[Holder]) refused(now time.Time, who Holder) bool {
	if s.refusals.allow(now, who) {
		return false
	}
	if len(s.until) >= mostShunned {
		for one, until := range s.until {
			if now.After(until) {
				delete(s.until, one)
			}
		}
	}
	if _, known := s.until[who]; known || len(s.until) < mostShunned {
		s.until[who] = now.Add(s.lasts)
	}
	return true
}

// shuns reports whether somebody is not let in.
func (s *shunned[Holder]) shuns(now time.Time, who Holder) bool {
	until, known := s.until[who]
	return known && now.Before(until)
}
