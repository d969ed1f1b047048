// Package quorum answers how many of a committee's replicas may fail, how many
// must agree, and whether they have. It is pure: no clock, no randomness, no
// input or output, and nothing depends on the iteration order of a map.
//
// A committee of n replicas withstands f = floor((n-1)/3) that fail in any way
// whatever. Two kinds of certificate are built from votes:
//
//   - A quorum of ceil((n+f+1)/2) votes, which is 2f+1 when n = 3f+1. Any two
//     quorums share at least f+1 replicas, so at least one honest one, and the
//     honest replicas alone (n-f of them) can form one.
//   - A weak certificate of f+1 votes. At least one of them is honest, so what
//     they say has been said truthfully by somebody.
//
// Committees between 3f+1 and 3f+3 occur while membership changes. For those 2f+1
// votes would not do: of five replicas two sets of three may share just the
// faulty one. The formula above is the smallest number that is safe for every n.
//
// The arithmetic is that of M. Castro and B. Liskov, "Practical Byzantine Fault
// Tolerance" (OSDI 1999), and of D. Malkhi and M. Reiter, "Byzantine quorum
// systems" (1998), for sizes other than 3f+1.
package quorum

import (
	"errors"
	"fmt"
	"slices"
)

// MaxReplicas is the largest committee. Messages grow with the square of the
// committee, so the bound is one of use rather than of representation.
const MaxReplicas = 256

// ErrSize is returned for a committee that is empty or above [MaxReplicas].
var ErrSize = errors.New("committee size out of range")

// ErrReplica is returned for a replica that the committee does not have.
var ErrReplica = errors.New("no such replica in the committee")

// Replica is a position in a committee, counted from 0. Every replica has one
// vote.
type Replica uint16

// Committee is a number of replicas with the thresholds that follow from it. The
// zero value has no replicas and certifies nothing; see [New].
type Committee struct{ n int }

// New returns the committee of n replicas, and ErrSize unless 1 <= n <= [MaxReplicas].
func New(n int) (Committee, error) {
	if n < 1 || n > MaxReplicas {
		return Committee{}, fmt.Errorf("%w: %d, must be 1 to %d", ErrSize, n, MaxReplicas)
	}
	return Committee{n: n}, nil
}

// Size returns the number of replicas.
func (c Committee) Size() int { return c.n }

// Faulty returns f, the number of replicas that may fail in any way.
func (c Committee) Faulty() int { return max(0, (c.n-1)/3) }

// Quorum returns the number of votes that make a certificate. Any two quorums
// have an honest replica in common.
func (c Committee) Quorum() int { return (c.n+c.Faulty())/2 + 1 }

// Weak returns the number of votes of which at least one is honest: f+1.
func (c Committee) Weak() int { return c.Faulty() + 1 }

// Has reports whether r is a replica of the committee.
func (c Committee) Has(r Replica) bool { return int(r) < c.n }

// Certifies reports whether the votes of s make a certificate. Members of s
// that the committee does not have are not counted.
func (c Committee) Certifies(s Set) bool { return s.below(c.n) >= c.Quorum() }

// Vouches reports whether at least one honest replica is in s. Members of s
// that the committee does not have are not counted.
func (c Committee) Vouches(s Set) bool { return s.below(c.n) >= c.Weak() }

// Reached returns the highest mark that at least k replicas have reached, where
// marks[r] is how far replica r says it is: with k = Quorum() what is certified,
// with k = Weak() what somebody honest vouches for. Replicas that have said
// nothing have mark 0; marks beyond the committee's size are not looked at. It
// returns 0 unless 1 <= k <= Size().
func (c Committee) Reached(marks []uint64, k int) uint64 {
	var buf [MaxReplicas]uint64
	m := buf[:c.n]
	copy(m, marks)
	if k < 1 || k > c.n {
		return 0
	}
	slices.Sort(m)
	return m[c.n-k]
}

// String returns the committee's size and thresholds.
func (c Committee) String() string {
	return fmt.Sprintf("%d replicas, %d may fail, quorum %d", c.n, c.Faulty(), c.Quorum())
}
