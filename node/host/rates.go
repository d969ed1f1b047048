package host

import "time"

// rates bounds how often something happens by who has it happen: so many at once, and so many
// a second after that. It is pure, and not safe for concurrent use.
type rates[Holder comparable] struct {
	perSecond, burst float64
	debt             float64 // the most that one may owe
	buckets          map[Holder]bucket
	swept            time.Time
}

// bucket is what one may still do.
type bucket struct {
	left float64
	at   time.Time
}

func newRates[Holder comparable](perSecond, burst int) *rates[Holder] {
	return &rates[Holder]{perSecond: float64(perSecond), burst: float64(burst), buckets: map[Holder]bucket{}}
}

// allow reports whether it may happen once more, and counts it if it may.
func (r *rates[Holder]) allow(now time.Time, of Holder) bool {
	r.sweep(now)
	left := r.left(now, of)
	ok := left >= 1
	if ok {
		left--
	}
	r.buckets[of] = bucket{left, now}
	return ok
}

// owe counts that it has happened, whether it was allowed or not.
func (r *rates[Holder]) owe(now time.Time, of Holder) {
	r.sweep(now)
	r.buckets[of] = bucket{max(r.left(now, of)-1, -r.debt), now}
}

// wait returns when one owes nothing any more.
func (r *rates[Holder]) wait(now time.Time, of Holder) time.Duration {
	return time.Duration(max(0, -r.left(now, of)/r.perSecond) * float64(time.Second))
}

// left returns how often it may happen now.
func (r *rates[Holder]) left(now time.Time, of Holder) float64 {
	b, known := r.buckets[of]
	if !known {
		return r.burst
	}
	return min(r.burst, b.left+r.perSecond*now.Sub(b.at).Seconds())
}

// sweep forgets who may do all again, so that those who are known are no more than who came
// in the last while.
func (r *rates[Holder]) sweep(now time.Time) {
	full := time.Duration((r.burst + r.debt) / r.perSecond * float64(time.Second))
	if now.Sub(r.swept) < full {
		return
	}
	r.swept = now
	for of, b := range r.buckets {
		if now.Sub(b.at) >= full {
			delete(r.buckets, of)
		}
	}
}
