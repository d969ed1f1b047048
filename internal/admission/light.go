package admission

import "time"

// usageHalf is how long it takes until what a prefix was sent counts for half.
const usageHalf = 10 * time.Second

// Pass reports whether a stream may send a step of so many bytes now without a turn, which
// is counted then, and of which Done is not told. It may while it is light and nothing
// bounds the rate.
func (q *Queue) Pass(now time.Time, s Seat, n int64) bool {
	t := q.seats[s]
	if t == nil || q.pace.Rate < Unbounded || t.waiting+t.under > 0 {
		return false
	}
	q.age(now)
	if !q.light(t.prefix()) {
		return false
	}
	q.use(t, max(1, min(n, q.pace.Step)))
	return true
}

// Light reports whether a stream is favoured, since its prefix was sent little lately.
func (q *Queue) Light(s Seat) bool {
	t := q.seats[s]
	return t != nil && q.light(t.prefix())
}

// prefix returns the group below the root that a stream is in.
func (t *turn) prefix() *turn {
	for t.above.above != nil {
		t = t.above
	}
	return t
}

// cost is what a step counts for.
func (q *Queue) cost(n int64) int64 { return max(n, q.pace.Step/leastCost) }

// use counts what a stream is sent as its prefix's.
func (q *Queue) use(t *turn, n int64) {
	p := t.prefix()
	p.used += q.cost(n)
	if p.place > 0 {
		q.waiters.fix(p)
	}
	q.most = max(q.most, p.used)
}

// light reports whether a prefix was sent so little lately that it is favoured.
func (q *Queue) light(prefix *turn) bool { return prefix.used <= q.most/2 && q.most > 0 }

// lightness is by how much the weight of a prefix is larger for that.
func (q *Queue) lightness(prefix *turn) int64 {
	if q.light(prefix) {
		return 2
	}
	return 1
}

// age halves what was used when it is time to. That looks at all prefixes, once in a while.
func (q *Queue) age(now time.Time) {
	if q.halved.IsZero() {
		q.halved = now
	}
	half := usageHalf
	if q.pace.Least {
		half = leastHalf
	}
	halvings := min(62, int64(now.Sub(q.halved)/half))
	if halvings < 1 {
		return
	}
	q.halved = q.halved.Add(time.Duration(halvings) * half)
	if now.Sub(q.halved) >= half { // after a long rest, in which all is forgotten
		q.halved = now
	}
	q.most = 0
	for _, p := range q.root.below {
		p.used >>= halvings
		q.most = max(q.most, p.used)
	}
	for k, used := range q.past {
		if q.past[k] = used >> halvings; q.past[k] == 0 {
			delete(q.past, k)
		}
	}
}
