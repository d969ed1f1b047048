package admission

import (
	"slices"
	"time"
)

// A visit is as long as the pace says while no more than fewPrefixes want one, and becomes
// shorter with more of them, down to that of manyPrefixes: who has little to send is not to
// wait longer for each who comes.
const (
	fewPrefixes  = 4
	manyPrefixes = 32
)

// visit is what is known of a prefix that is visited, or was.
type visit struct {
	visited bool
	left    int64     // bytes it may still be sent; what it was sent beyond counts in the next one
	took    int64     // bytes it was sent
	counted int       // its steps under way that count, those of earlier visits too
	until   time.Time // when it is over at the latest
	quick   time.Time // when the last step of it was done that did not take long
}

// begin has the prefix visited that waits first.
func (q *Queue) begin(now time.Time) {
	crowd := min(max(fewPrefixes, q.root.queue.n+len(q.visits)), manyPrefixes)
	p := q.root.queue.first
	q.root.queue.remove(p)
	q.visits = append(q.visits, p)
	weight := p.weight()
	p.visit = visit{
		visited: true, counted: p.counted,
		left:  min(0, p.left) + max(q.pace.Step, q.pace.Visit*fewPrefixes/int64(crowd))*int64(weight),
		until: now.Add(q.pace.Stay * time.Duration(weight*fewPrefixes) / time.Duration(crowd)),
	}
}

// over reports whether the visit of a prefix is over.
func (q *Queue) over(p *turn, now time.Time) bool {
	switch {
	case p.left <= 0, !now.Before(p.until):
		return true
	case p.waiting > 0, p.counted > 0:
		return false
	default:
		// Who has asked for a word or two most likely wants no more.
		return p.took < q.pace.Step || p.quick.IsZero() || now.Sub(p.quick) >= q.pace.Idle
	}
}

// visitor returns the prefix that is sent a step next, or nil while none may be.
func (q *Queue) visitor(now time.Time) *turn {
	q.visits = slices.DeleteFunc(q.visits, func(p *turn) bool {
		if !q.over(p, now) {
			return false
		}
		p.visited = false
		if p.waiting > 0 {
			q.root.queue.push(p)
		}
		return true
	})
	for len(q.visits) < q.pace.Visits && q.root.queue.n > 0 {
		q.begin(now)
	}
	// Nobody is in the way of the only peer, whatever it has under way.
	alone := q.active <= 1 && len(q.visits) == 1
	each := (q.pace.Under + q.pace.Visits - 1) / q.pace.Visits
	for i, p := range q.visits {
		if p.waiting > 0 && (alone || q.going.n < q.pace.Under && p.counted < each) {
			q.visits = append(slices.Delete(q.visits, i, i+1), p) // the others come first the next time
			return p
		}
	}
	return nil
}

// again returns when there may be a turn, while somebody waits and there is none.
func (q *Queue) again() time.Time {
	var next time.Time
	earliest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if q.going.n > 0 {
		earliest(q.going.first.since.Add(q.pace.Hold))
	}
	for _, p := range q.visits {
		earliest(p.until)
		if p.waiting == 0 && p.counted == 0 {
			earliest(p.quick.Add(q.pace.Idle))
		}
	}
	return next
}

// forget is told of a prefix that has no streams any more.
func (q *Queue) forget(p *turn) {
	if i := slices.Index(q.visits, p); i >= 0 {
		q.visits = slices.Delete(q.visits, i, i+1)
	}
}

// prefix returns the prefix that a stream comes from.
func (t *turn) prefix() *turn {
	for t.above.above != nil {
		t = t.above
	}
	return t
}
