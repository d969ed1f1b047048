package admission

import (
	"math"
	"time"
)

const (
	// placeTurn is by how much longer others have held places than a newcomer when they give way
	// to it though they hold no more: enough to ask for something, on a busy machine too.
	placeTurn = 2 * time.Second
	// placeHalf is how long it takes until the time for which a prefix has held places counts for
	// half. It counts while the prefix holds one, however many these are.
	placeHalf = time.Minute
	// placeForgotten is so short a time that it need not be remembered.
	placeForgotten = placeTurn / 8
)

// lately is for how long a prefix had held places when it gave back the last one.
type lately struct {
	held time.Duration
	at   time.Time
}

// longest says for how long prefixes have held places, and who has for longest of those of whom
// nothing is asked. Hundreds of prefixes may hold a place each and do nothing with it: nobody
// holds more than a newcomer would, and whoever is quickest has the place that becomes free.
type longest struct {
	resting heap // streams that wait for the other side to ask
	past    map[key]lately
	swept   time.Time
}

func newLongest() longest { return longest{resting: heap{by: byHeld}, past: map[key]lately{}} }

// held returns for how long a prefix that holds no place has held some lately.
func (l *longest) held(now time.Time, k key) time.Duration {
	p, known := l.past[k]
	if !known {
		return 0
	}
	return time.Duration(float64(p.held) * math.Exp2(-float64(now.Sub(p.at))/float64(placeHalf)))
}

// enters notes that a prefix holds its first place.
func (l *longest) enters(now time.Time, prefix *node) {
	prefix.began = now.Add(-l.held(now, prefix.key))
	delete(l.past, prefix.key)
}

// leaves notes that a prefix holds none any more.
func (l *longest) leaves(now time.Time, prefix *node) {
	if now.Sub(l.swept) >= placeHalf {
		l.swept = now
		for k := range l.past {
			if l.held(now, k) < placeForgotten {
				delete(l.past, k)
			}
		}
	}
	if len(l.past) < mostPast {
		l.past[prefix.key] = lately{now.Sub(prefix.began), now}
	}
}

// rest notes whether a stream waits for the other side to ask.
func (l *longest) rest(n *node, rests bool) {
	s := n.stream
	switch {
	case rests && !s.rests:
		l.resting.add(n)
	case !rests && s.rests:
		l.resting.remove(n)
	}
	s.rests = rests
}

// loser returns the stream that is to make room for a newcomer of a prefix that holds no place,
// nil if there is none.
func (l *longest) loser(now time.Time, k key) *node {
	n := l.resting.first()
	if n == nil || now.Sub(n.stream.began)-l.held(now, k) < placeTurn {
		return nil
	}
	return n
}
