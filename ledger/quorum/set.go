package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
)

// ErrEncoding is returned for bytes that are not the encoding of a set.
var ErrEncoding = errors.New("malformed replica set")

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

// Encode returns the set as certificates carry it for committee c: one bit per
// replica, lowest first, in ceil(n/8) bytes. It returns ErrReplica for a set
// with members that the committee does not have.
func (s Set) Encode(c Committee) ([]byte, error) {
	if s.below(c.n) != s.Len() {
		return nil, fmt.Errorf("%w: encoding a set for %d replicas", ErrReplica, c.n)
	}
	var b [MaxReplicas / 8]byte
	for i, w := range s.words {
		binary.LittleEndian.PutUint64(b[i*8:], w)
	}
	return append([]byte(nil), b[:(c.n+7)/8]...), nil
}

// Decode reads what [Set.Encode] wrote for the same committee. There is one
// encoding per set: wrong lengths and bits beyond the committee are ErrEncoding.
func Decode(c Committee, data []byte) (Set, error) {
	if want := (c.n + 7) / 8; len(data) != want {
		return Set{}, fmt.Errorf("%w: %d bytes, %d replicas take %d", ErrEncoding, len(data), c.n, want)
	}
	var b [MaxReplicas / 8]byte
	copy(b[:], data)
	var s Set
	for i := range s.words {
		s.words[i] = binary.LittleEndian.Uint64(b[i*8:])
	}
	if s.below(c.n) != s.Len() {
		return Set{}, fmt.Errorf("%w: names a replica at or above %d", ErrEncoding, c.n)
	}
	return s, nil
}
