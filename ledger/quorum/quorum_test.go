package quorum

import (
	"errors"
	"math/bits"
	"slices"
	"testing"
)

func committee(t *testing.T, n int) Committee {
	t.Helper()
	c, err := New(n)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestThresholds(t *testing.T) {
	for _, c := range []struct{ n, f, quorum, weak int }{
		{1, 0, 1, 1},
		{2, 0, 2, 1},
		{3, 0, 2, 1},
		{4, 1, 3, 2},
		{5, 1, 4, 2},
		{6, 1, 4, 2},
		{7, 2, 5, 3},
		{10, 3, 7, 4},
		{100, 33, 67, 34},
		{256, 85, 171, 86},
	} {
		got := committee(t, c.n)
		if got.Size() != c.n || got.Faulty() != c.f || got.Quorum() != c.quorum || got.Weak() != c.weak {
			t.Errorf("n=%d: %v, weak %d; want f %d, quorum %d, weak %d", c.n, got, got.Weak(), c.f, c.quorum, c.weak)
		}
	}
}

// The properties that safety and liveness rest on, for every size there is.
func TestThresholdsAreSafeAndLive(t *testing.T) {
	for n := 1; n <= MaxReplicas; n++ {
		c := committee(t, n)
		f, q := c.Faulty(), c.Quorum()
		switch {
		case 3*f >= n || 3*(f+1) < n:
			t.Errorf("n=%d: f=%d is not the most that 3f < n allows", n, f)
		case 2*q-n < f+1:
			t.Errorf("n=%d: two quorums of %d may share only faulty replicas", n, q)
		case 2*(q-1)-n >= f+1:
			t.Errorf("n=%d: a quorum of %d would do, not %d", n, q-1, q)
		case q > n-f:
			t.Errorf("n=%d: %d honest replicas cannot form a quorum of %d", n, n-f, q)
		case n == 3*f+1 && q != 2*f+1:
			t.Errorf("n=%d: quorum %d, want 2f+1 = %d", n, q, 2*f+1)
		}
	}
}

// Every pair of quorums of small committees, by enumeration.
func TestQuorumsIntersectInAnHonestReplica(t *testing.T) {
	for n := 1; n <= 7; n++ {
		c := committee(t, n)
		for a := uint64(0); a < 1<<n; a++ {
			for b := uint64(0); b < 1<<n; b++ {
				if !c.Certifies(Set{[4]uint64{a}}) || !c.Certifies(Set{[4]uint64{b}}) {
					continue
				}
				if shared := bits.OnesCount64(a & b); shared <= c.Faulty() {
					t.Fatalf("n=%d: quorums %b and %b share %d replicas, %d may be faulty", n, a, b, shared, c.Faulty())
				}
			}
		}
	}
}

func TestCommitteeBounds(t *testing.T) {
	for _, n := range []int{-1, 0, MaxReplicas + 1} {
		if _, err := New(n); !errors.Is(err, ErrSize) {
			t.Errorf("New(%d): %v, want ErrSize", n, err)
		}
	}
	var none Committee
	if none.Certifies(SetOf(0, 1, 2)) || none.Vouches(SetOf(0, 1, 2)) || none.Has(0) || none.Reached([]uint64{7}, 1) != 0 {
		t.Error("the zero committee certifies something")
	}
}

func TestStrangersDoNotCount(t *testing.T) {
	c := committee(t, 4)
	if c.Certifies(SetOf(0, 1, 4, 5, 200)) {
		t.Error("replicas beyond the committee were counted into a quorum")
	}
	if c.Vouches(SetOf(0, 4)) {
		t.Error("replicas beyond the committee were counted into a weak certificate")
	}
	tally := NewTally[string](c)
	if _, err := tally.Add(4, "a"); !errors.Is(err, ErrReplica) {
		t.Errorf("a stranger's vote: %v, want ErrReplica", err)
	}
}

func TestSetIgnoresWhatItCannotHold(t *testing.T) {
	s := SetOf(MaxReplicas, 65535)
	if s != (Set{}) || s.Has(MaxReplicas) {
		t.Errorf("out of range members: %v", slices.Collect(s.All()))
	}
}

func TestTallyKeepsTheFirstVote(t *testing.T) {
	tally := NewTally[string](committee(t, 4))
	for i, step := range []struct {
		r    Replica
		v    string
		want Outcome
	}{
		{0, "a", Counted},
		{0, "a", Repeated},
		{0, "b", Conflicting},
		{1, "b", Counted},
		{0, "b", Conflicting},
		{2, "b", Counted},
		{1, "a", Conflicting},
	} {
		if got, err := tally.Add(step.r, step.v); err != nil || got != step.want {
			t.Errorf("step %d: replica %d votes %s: %v, %v; want %v", i, step.r, step.v, got, err, step.want)
		}
	}
	if _, _, ok := tally.Certified(); ok {
		t.Error("certified with two votes of four")
	}
	if !tally.Vouched("b") || tally.Vouched("a") {
		t.Error("want b vouched for by two replicas, and a not by one")
	}
	if _, err := tally.Add(3, "b"); err != nil {
		t.Fatal(err)
	}
	if v, votes, ok := tally.Certified(); !ok || v != "b" || votes != SetOf(1, 2, 3) {
		t.Errorf("Certified() = %q, %v, %v", v, slices.Collect(votes.All()), ok)
	}
	if tally.Voted() != SetOf(0, 1, 2, 3) {
		t.Errorf("Voted() = %v", slices.Collect(tally.Voted().All()))
	}
}

func TestOutcomesHaveNames(t *testing.T) {
	for o, want := range map[Outcome]string{Counted: "counted", Repeated: "repeated", Conflicting: "conflicting", 9: "outcome 9"} {
		if o.String() != want {
			t.Errorf("%d is called %q", o, o)
		}
	}
}
