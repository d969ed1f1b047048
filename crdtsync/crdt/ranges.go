package crdt

import (
	"math"
	"slices"
	"sort"
)

// span is the positions from lo to hi, both included.
type span struct{ lo, hi Position }

// ranges is a set of positions: spans in ascending order that neither overlap
// nor touch, so that equal sets have equal representations. It is never changed
// in place; several contexts may share one.
type ranges []span

// has reports whether p is in the set.
func (r ranges) has(p Position) bool {
	i := sort.Search(len(r), func(i int) bool { return r[i].hi >= p })
	return i < len(r) && r[i].lo <= p
}

// union returns the positions in r or q.
func (r ranges) union(q ranges) ranges {
	switch {
	case len(q) == 0:
		return r
	case len(r) == 0:
		return q
	}
	out := make(ranges, 0, len(r)+len(q))
	for len(r) > 0 || len(q) > 0 {
		if len(q) == 0 || len(r) > 0 && r[0].lo <= q[0].lo {
			out, r = out.push(r[0]), r[1:]
		} else {
			out, q = out.push(q[0]), q[1:]
		}
	}
	return slices.Clip(out)
}

// push appends a span that begins at or after every span of r, joining it to the
// last one when the two touch.
func (r ranges) push(s span) ranges {
	if n := len(r); n > 0 && (r[n-1].hi == math.MaxUint64 || s.lo <= r[n-1].hi+1) {
		r[n-1].hi = max(r[n-1].hi, s.hi)
		return r
	}
	return append(r, s)
}

// contiguous returns the first position that is missing, which is one more than
// fits a Position when none is: then full is true.
func (r ranges) contiguous() (next Position, full bool) {
	if len(r) == 0 || r[0].lo > 0 {
		return 0, false
	}
	return r[0].hi + 1, r[0].hi == math.MaxUint64
}
