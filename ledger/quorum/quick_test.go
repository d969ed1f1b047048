package quorum

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// cases is how many random cases each comparison with a dumb alternative takes.
const cases = 50_000

// quick runs check on random sources that differ from case to case and are the
// same in every run.
func quick(t *testing.T, check func(t *testing.T, rnd *rand.Rand)) {
	t.Helper()
	for i := range uint64(cases) {
		check(t, rand.New(rand.NewPCG(1, i)))
		if t.Failed() {
			t.Fatalf("case %d", i)
		}
	}
}

// size returns a committee, small ones more often than large ones.
func size(t *testing.T, rnd *rand.Rand) Committee {
	t.Helper()
	limit := 13
	if rnd.IntN(8) == 0 {
		limit = MaxReplicas
	}
	return committee(t, 1+rnd.IntN(limit))
}

func TestQuickReached(t *testing.T) {
	quick(t, func(t *testing.T, rnd *rand.Rand) {
		t.Helper()
		c := size(t, rnd)
		marks := make([]uint64, rnd.IntN(c.Size()+3))
		for i := range marks {
			marks[i] = rnd.Uint64N(20)
		}
		k := rnd.IntN(c.Size()+3) - 1
		before := slices.Clone(marks)
		if got, want := c.Reached(marks, k), dumbReached(c.Size(), marks, k); got != want {
			t.Errorf("%v: Reached(%v, %d) = %d, want %d", c, marks, k, got, want)
		}
		if !slices.Equal(marks, before) {
			t.Errorf("Reached changed its input: %v, was %v", marks, before)
		}
	})
}

// dumbReached tries every candidate and counts who has reached it.
func dumbReached(n int, marks []uint64, k int) uint64 {
	if k < 1 || k > n {
		return 0
	}
	best := uint64(0)
	for _, candidate := range marks[:min(n, len(marks))] {
		reached := 0
		for r := range n {
			if r < len(marks) && marks[r] >= candidate {
				reached++
			}
		}
		if reached >= k {
			best = max(best, candidate)
		}
	}
	return best
}

func TestQuickSet(t *testing.T) {
	quick(t, func(t *testing.T, rnd *rand.Rand) {
		t.Helper()
		c := size(t, rnd)
		var a, b Set
		dumbA, dumbB := map[Replica]bool{}, map[Replica]bool{}
		for range rnd.IntN(12) {
			r := Replica(rnd.IntN(c.Size()))
			if a.Add(r) == dumbA[r] {
				t.Errorf("Add(%d) is wrong about what was there", r)
			}
			dumbA[r] = true
			r = Replica(rnd.IntN(MaxReplicas + 2))
			b.Add(r)
			dumbB[r] = r < MaxReplicas
		}
		compareSets(t, c, a, b, dumbA, dumbB)
	})
}

func compareSets(t *testing.T, c Committee, a, b Set, dumbA, dumbB map[Replica]bool) {
	t.Helper()
	var all []Replica
	below := 0
	for r := range Replica(MaxReplicas + 2) {
		if a.Has(r) != dumbA[r] || b.Has(r) != dumbB[r] {
			t.Errorf("Has(%d) = %v, %v", r, a.Has(r), b.Has(r))
		}
		if a.Union(b).Has(r) != (dumbA[r] || dumbB[r]) || a.Intersect(b).Has(r) != (dumbA[r] && dumbB[r]) {
			t.Errorf("union or intersection is wrong at %d", r)
		}
		if dumbB[r] {
			all = append(all, r)
			if c.Has(r) {
				below++
			}
		}
	}
	if got := slices.Collect(b.All()); !slices.Equal(got, all) || b.Len() != len(all) {
		t.Errorf("All() = %v, Len() = %d, want %v", got, b.Len(), all)
	}
	if c.Certifies(b) != (below >= c.Quorum()) || c.Vouches(b) != (below >= c.Weak()) {
		t.Errorf("%v: certificates of %v: %v, %v", c, all, c.Certifies(b), c.Vouches(b))
	}
}

func TestQuickTally(t *testing.T) {
	quick(t, func(t *testing.T, rnd *rand.Rand) {
		t.Helper()
		c := size(t, rnd)
		tally := NewTally[int](c)
		first := map[Replica]int{}
		certified := -1
		values := 1 + rnd.IntN(3)
		for range rnd.IntN(2*c.Size() + 1) {
			r, v := Replica(rnd.IntN(c.Size())), rnd.IntN(values)
			want := Counted
			if old, voted := first[r]; voted && old == v {
				want = Repeated
			} else if voted {
				want = Conflicting
			} else {
				first[r] = v
			}
			if got, err := tally.Add(r, v); err != nil || got != want {
				t.Errorf("replica %d votes %d: %v, %v; want %v", r, v, got, err, want)
			}
			certified = compareTally(t, c, tally, first, values, certified)
		}
	})
}

// compareTally holds a tally against each replica's first vote and returns the
// value that is certified, which must be before's if there was one.
func compareTally(t *testing.T, c Committee, tally *Tally[int], first map[Replica]int, values, before int) int {
	t.Helper()
	votes := make([]Set, values)
	for r, v := range first {
		votes[v].Add(r)
	}
	want := -1
	for v, s := range votes {
		if tally.For(v) != s || tally.Vouched(v) != (s.Len() >= c.Weak()) {
			t.Errorf("votes for %d: %v", v, slices.Collect(tally.For(v).All()))
		}
		if s.Len() >= c.Quorum() {
			want = v
		}
	}
	got, _, ok := tally.Certified()
	if ok != (want >= 0) || (ok && got != want) || (before >= 0 && got != before) {
		t.Errorf("Certified() = %d, %v; want %d, was %d", got, ok, want, before)
	}
	return want
}
