package quorum

import (
	"iter"
	"math/bits"
)

// Set is a set of replicas. It is a comparable value; the zero value is empty.
type Set struct{ words [MaxReplicas / 64]uint64 }

// SetOf returns the set of the replicas given. Those at or above [MaxReplicas]
// are left out.
func SetOf(replicas ...Replica) Set {
	var s Set
	for _, r := range replicas {
		s.Add(r)
	}
	return s
}

// Add adds r and reports whether it was new. A replica at or above
// [MaxReplicas] is never added.
func (s *Set) Add(r Replica) bool {
	if r >= MaxReplicas || s.Has(r) {
		return false
	}
	s.words[r/64] |= 1 << (r % 64)
	return true
}

// Has reports whether r is in the set.
func (s Set) Has(r Replica) bool {
	return r < MaxReplicas && s.words[r/64]&(1<<(r%64)) != 0
}

// Len returns the number of replicas in the set.
func (s Set) Len() int {
	n := 0
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// Union returns the replicas in s or t.
func (s Set) Union(t Set) Set {
	for i, w := range t.words {
		s.words[i] |= w
	}
	return s
}

// Intersect returns the replicas in both s and t.
func (s Set) Intersect(t Set) Set {
	for i, w := range t.words {
		s.words[i] &= w
	}
	return s
}

// All yields the replicas in ascending order.
func (s Set) All() iter.Seq[Replica] {
	return func(yield func(Replica) bool) {
		for i, w := range s.words {
			for ; w != 0; w &= w - 1 {
				if !yield(Replica(i*64 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

// below returns how many members are less than n.
func (s Set) below(n int) int {
	count := 0
	for i, w := range s.words {
		if left := n - i*64; left < 64 {
			w &= 1<<max(0, left) - 1
		}
		count += bits.OnesCount64(w)
	}
	return count
}
