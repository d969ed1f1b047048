// Package limiter decides which lines a log is spared. It is pure: instants are given.
package limiter

import "time"

// Limiter lets one line of a kind about a peer through in each interval, and counts the
// others. It remembers a bounded number of kinds and peers. It is not safe for
// concurrent use.
type Limiter struct {
	interval time.Duration
	most     int
	entries  map[entry]*count
}

// entry is what lines have in common of which one is let through.
type entry struct{ kind, peer string }

type count struct {
	since time.Time // when a line was let through
	held  int       // lines since then
}

// others is the entry of all for whom there is no room.
var others = entry{}

// New returns a limiter that lets a line through in each interval, and remembers at most
// so many kinds and peers. What is beyond them shares one entry.
func New(interval time.Duration, most int) *Limiter {
	return &Limiter{interval: interval, most: most, entries: map[entry]*count{}}
}

// Allow reports whether a line is let through at an instant, and how many like it were
// not since the last one that was. Instants must not decrease.
func (l *Limiter) Allow(now time.Time, kind, peer string) (held int, ok bool) {
	e := entry{kind, peer}
	c := l.entries[e]
	if c == nil {
		if len(l.entries) >= l.most {
			l.forget(now)
		}
		if len(l.entries) >= l.most {
			e = others
			c = l.entries[e]
		}
	}
	if c == nil {
		l.entries[e] = &count{since: now}
		return 0, true
	}
	if now.Sub(c.since) < l.interval {
		c.held++
		return 0, false
	}
	held = c.held
	c.since, c.held = now, 0
	return held, true
}

// forget makes room. An entry that a line would be let through of counts for nothing,
// unless it has lines to tell of; of those, none is worth more than the room.
func (l *Limiter) forget(now time.Time) {
	for e, c := range l.entries {
		if e != others && now.Sub(c.since) >= l.interval {
			delete(l.entries, e)
		}
	}
}
