package quorum

import "fmt"

// Outcome is what became of one vote.
type Outcome uint8

const (
	// Counted is a replica's first vote.
	Counted Outcome = iota
	// Repeated is the same vote again. It changes nothing.
	Repeated
	// Conflicting is a vote for another value than the replica's first. It is not
	// counted; together the two signed votes are evidence of equivocation.
	Conflicting
)

// String returns the outcome's name.
func (o Outcome) String() string {
	switch o {
	case Counted:
		return "counted"
	case Repeated:
		return "repeated"
	case Conflicting:
		return "conflicting"
	default:
		return fmt.Sprintf("outcome %d", uint8(o))
	}
}

// Tally counts the votes for one question, such as which digest one sequence
// number of one view has. A replica's first vote counts, whatever it sends
// later, so at most one value is ever certified. Memory is bounded by the
// committee: there are at most as many values as voters. A Tally is not safe
// for concurrent use.
type Tally[V comparable] struct {
	committee Committee
	voted     Set
	counts    []count[V] // in order of each value's first vote
}

type count[V comparable] struct {
	value V
	votes Set
}

// NewTally returns an empty tally of committee c's votes.
func NewTally[V comparable](c Committee) *Tally[V] { return &Tally[V]{committee: c} }

// Add records that r votes for v, and returns ErrReplica when the committee has
// no such replica.
func (t *Tally[V]) Add(r Replica, v V) (Outcome, error) {
	if !t.committee.Has(r) {
		return 0, fmt.Errorf("%w: vote of replica %d of %d", ErrReplica, r, t.committee.n)
	}
	i := t.find(v)
	if !t.voted.Add(r) {
		if i < len(t.counts) && t.counts[i].votes.Has(r) {
			return Repeated, nil
		}
		return Conflicting, nil
	}
	if i == len(t.counts) {
		t.counts = append(t.counts, count[V]{value: v})
	}
	t.counts[i].votes.Add(r)
	return Counted, nil
}

// find returns the index of v's count, or len(t.counts) when nobody voted for v.
func (t *Tally[V]) find(v V) int {
	for i := range t.counts {
		if t.counts[i].value == v {
			return i
		}
	}
	return len(t.counts)
}

// Voted returns the replicas whose vote was counted, for whatever value.
func (t *Tally[V]) Voted() Set { return t.voted }

// For returns the replicas whose vote for v was counted.
func (t *Tally[V]) For(v V) Set {
	if i := t.find(v); i < len(t.counts) {
		return t.counts[i].votes
	}
	return Set{}
}

// Vouched reports whether at least one honest replica voted for v. Several
// values can be vouched for at once.
func (t *Tally[V]) Vouched(v V) bool { return t.committee.Vouches(t.For(v)) }

// Certified returns the value that a quorum voted for, with the voters. There is
// at most one, and once there is it never changes.
func (t *Tally[V]) Certified() (v V, votes Set, ok bool) {
	for _, c := range t.counts {
		if t.committee.Certifies(c.votes) {
			return c.value, c.votes, true
		}
	}
	return v, Set{}, false
}
