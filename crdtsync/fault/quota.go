package fault

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/internal/capability"
)

// sum is a sum of charges, of which each is below 2^62 and there are at most MaxHeaders.
type sum struct{ high, low uint64 }

func sumOf(headers []*bundle.Header) (s sum) {
	for _, h := range headers {
		s = s.and(h.Charge)
	}
	return s
}

// and returns a sum with one more charge.
func (s sum) and(charge int64) sum {
	low, carry := bits.Add64(s.low, uint64(charge), 0)
	return sum{s.high + carry, low}
}

// less returns a sum without one of its charges.
func (s sum) less(charge int64) sum {
	low, borrow := bits.Sub64(s.low, uint64(charge), 0)
	return sum{s.high - borrow, low}
}

// compare orders sums.
func (s sum) compare(o sum) int {
	return cmp.Or(cmp.Compare(s.high, o.high), cmp.Compare(s.low, o.low))
}

// String returns the sum in digits, as far as anybody reads them.
func (s sum) String() string {
	if s.high > 0 {
		return "2^64 or more"
	}
	return strconv.FormatUint(s.low, 10)
}

// Granted returns how much a writer may have charged under a capability at a time: at once
// what its quota has for that, each day since its start what that adds, and never more than
// in all.
func Granted(c *capability.Capability, at crdt.Time) int64 {
	since := max(0, at.Wall-crdt.Milli(c.NotBefore).Wall)
	high, low := bits.Mul64(uint64(since), uint64(c.Quota.Daily))
	const day = uint64(24 * time.Hour)
	if high >= day { // it is more than any total is
		return c.Quota.Total
	}
	accrued, _ := bits.Div64(high, low, day)
	if accrued > uint64(c.Quota.Total) {
		return c.Quota.Total
	}
	return min(c.Quota.Total, c.Quota.Burst+int64(accrued))
}

// Audit returns the overdraft with the earliest time that headers of one writer under one
// capability prove, or nil: where nothing counts from that time on, what counts is within the
// quota at every time before. Of each origin the headers are all up to some, each following
// the one before by the rules.
func Audit(headers []*bundle.Header, c *capability.Capability) *Fault {
	byTime := slices.SortedFunc(slices.Values(headers), func(a, b *bundle.Header) int {
		return cmp.Or(a.Time.Compare(b.Time), a.Origin.Compare(b.Origin))
	})
	last := map[bundle.Origin]*bundle.Header{}
	var all sum
	for i, h := range byTime {
		if before := last[h.Origin]; before != nil {
			all = all.less(before.Charge)
		}
		last[h.Origin] = h
		all = all.and(h.Charge)
		if i+1 < len(byTime) && byTime[i+1].Time == h.Time || !exceeds(all, h.Time, c) {
			continue
		}
		f, err := OfQuota(slices.Collect(maps.Values(last)), c)
		if err != nil {
			return nil // over more origins than a fault has headers
		}
		return f
	}
	return nil
}

// exceeds reports whether a sum is more than is granted at a time.
func exceeds(s sum, at crdt.Time, c *capability.Capability) bool {
	return s.compare(sum{low: uint64(Granted(c, at))}) > 0
}

// needed returns those of headers that exceed a quota of which none can be left out.
func needed(headers []*bundle.Header, c *capability.Capability) []*bundle.Header {
	rest := slices.Clone(headers)
	slices.SortFunc(rest, func(a, b *bundle.Header) int { return cmp.Compare(a.Charge, b.Charge) })
	for {
		// The smallest go first. Without the latest one less is granted, so that one that was
		// needed may not be any more: it is looked at all again.
		byTime := slices.SortedFunc(slices.Values(rest), func(a, b *bundle.Header) int { return b.Time.Compare(a.Time) })
		gone, all := map[*bundle.Header]bool{}, sumOf(rest)
		for _, h := range rest {
			at := 0 // of the latest of those that stay
			for at < len(byTime) && (gone[byTime[at]] || byTime[at] == h) {
				at++
			}
			if at == len(byTime) {
				break // it is the last
			}
			if less := all.less(h.Charge); exceeds(less, byTime[at].Time, c) {
				gone[h], all = true, less
			}
			for len(byTime) > 0 && gone[byTime[0]] {
				byTime = byTime[1:]
			}
		}
		if len(gone) == 0 {
			return rest
		}
		rest = slices.DeleteFunc(rest, func(h *bundle.Header) bool { return gone[h] })
	}
}

// latest returns the highest time of headers, of which there is one.
func latest(headers []*bundle.Header) crdt.Time {
	first, _ := latestTwo(headers)
	return first
}

// latestTwo returns the two highest times, which may be the same.
func latestTwo(headers []*bundle.Header) (first, second crdt.Time) {
	first, second = crdt.Time{Wall: -1}, crdt.Time{Wall: -1}
	for _, h := range headers {
		switch {
		case h.Time.Compare(first) > 0:
			first, second = h.Time, first
		case h.Time.Compare(second) > 0:
			second = h.Time
		}
	}
	return first, second
}
