package crdt

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// dumbSet keeps every add that ever was, and a tombstone for each that was
// removed. It is the definition that Set is held against.
type dumbSet struct {
	adds map[Dot]string
	dead map[Dot]bool
}

func newDumbSet() *dumbSet { return &dumbSet{adds: map[Dot]string{}, dead: map[Dot]bool{}} }

func (s *dumbSet) remove(e string) {
	for d, element := range s.adds {
		if element == e {
			s.dead[d] = true
		}
	}
}

func (s *dumbSet) add(d Dot, e string) {
	s.remove(e)
	s.adds[d] = e
}

func (s *dumbSet) merge(t *dumbSet) {
	maps.Copy(s.adds, t.adds)
	maps.Copy(s.dead, t.dead)
}

func (s *dumbSet) elements() []string {
	var out []string
	for d, e := range s.adds {
		if !s.dead[d] {
			out = append(out, e)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// replica is a set, the model of the same set, and a writer's next position.
type replica struct {
	origin Origin
	next   Position
	set    *Set[string]
	model  *dumbSet
}

// change is a delta with what it does to the model.
type change struct {
	delta *Set[string]
	model *dumbSet
}

// history is a run of several replicas: local adds and removals, deltas that
// arrive late, twice or never, and merges of whole states.
type history struct {
	replicas []*replica
	changes  []change
}

var genElement = rapid.SampledFrom([]string{"a", "b", "c"})

func drawHistory(t *rapid.T) *history {
	h := new(history)
	for i := range 3 {
		h.replicas = append(h.replicas, &replica{origin: origin(i), set: new(Set[string]), model: newDumbSet()})
	}
	for range rapid.IntRange(0, 40).Draw(t, "steps") {
		h.step(t)
	}
	return h
}

func (h *history) step(t *rapid.T) {
	r := rapid.SampledFrom(h.replicas).Draw(t, "replica")
	switch rapid.SampledFrom([]string{"add", "add", "remove", "deliver", "merge"}).Draw(t, "step") {
	case "add":
		h.add(t, r, genElement.Draw(t, "element"))
	case "remove":
		h.remove(r, genElement.Draw(t, "element"))
	case "deliver":
		if len(h.changes) > 0 {
			c := rapid.SampledFrom(h.changes).Draw(t, "change")
			r.set.Merge(c.delta)
			r.model.merge(c.model)
		}
	case "merge":
		other := rapid.SampledFrom(h.replicas).Draw(t, "other")
		r.set.Merge(other.set)
		r.model.merge(other.model)
	}
}

func (h *history) add(t *rapid.T, r *replica, e string) {
	d := Dot{Origin: r.origin, Position: r.next}
	r.next++
	delta, err := r.set.Add(d, e)
	if err != nil {
		t.Fatalf("add %s under %s: %v", e, d, err)
	}
	model := newDumbSet()
	model.merge(&dumbSet{adds: live(r.model, e)})
	model.add(d, e)
	r.model.merge(model)
	h.changes = append(h.changes, change{delta, model})
}

func (h *history) remove(r *replica, e string) {
	model := newDumbSet()
	model.merge(&dumbSet{adds: live(r.model, e)})
	model.remove(e)
	r.model.merge(model)
	h.changes = append(h.changes, change{r.set.Remove(e), model})
}

// live returns the adds that keep e in the model.
func live(s *dumbSet, e string) map[Dot]string {
	out := map[Dot]string{}
	for d, element := range s.adds {
		if element == e && !s.dead[d] {
			out[d] = e
		}
	}
	return out
}

func TestSetAgreesWithTombstones(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, r := range drawHistory(t).replicas {
			got, want := slices.Collect(r.set.All()), r.model.elements()
			if !slices.Equal(got, want) || r.set.Len() != len(want) {
				t.Fatalf("%s has %v, want %v", r.origin, got, want)
			}
			for _, e := range []string{"a", "b", "c", "d"} {
				if r.set.Has(e) != slices.Contains(want, e) {
					t.Fatalf("%s: Has(%s) = %v", r.origin, e, r.set.Has(e))
				}
			}
			for d := range r.model.adds {
				if !r.set.Context().Has(d) {
					t.Fatalf("%s: has not seen %s", r.origin, d)
				}
			}
		}
	})
}

func TestSetMergeLaws(t *testing.T) {
	merge := func(x, y *Set[string]) *Set[string] {
		m := x.Clone()
		m.Merge(y)
		return m
	}
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		a, b, c := h.replicas[0].set, h.replicas[1].set, h.replicas[2].set
		before := []*Set[string]{a.Clone(), b.Clone(), c.Clone()}
		if !merge(a, b).Equal(merge(b, a)) {
			t.Fatal("not commutative")
		}
		if !merge(merge(a, b), c).Equal(merge(a, merge(b, c))) {
			t.Fatal("not associative")
		}
		if ab := merge(a, b); !merge(ab, b).Equal(ab) || !merge(a, a).Equal(a) {
			t.Fatal("not idempotent")
		}
		if !a.Equal(before[0]) || !b.Equal(before[1]) || !c.Equal(before[2]) {
			t.Fatal("merging changed its argument")
		}
	})
}

// Whoever has all the deltas has the same state, whatever the order.
func TestSetsConvergeOnDeltas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		changes := drawHistory(t).changes
		var one, other Set[string]
		for _, c := range changes {
			one.Merge(c.delta)
		}
		for _, c := range rapid.Permutation(changes).Draw(t, "order") {
			other.Merge(c.delta)
		}
		if !one.Equal(&other) {
			t.Fatalf("%v and %v", slices.Collect(one.All()), slices.Collect(other.All()))
		}
	})
}

// mustAdd adds e and returns the delta.
func mustAdd(t *testing.T, s *Set[string], d Dot, e string) *Set[string] {
	t.Helper()
	delta, err := s.Add(d, e)
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

func TestConcurrentAddWins(t *testing.T) {
	var a, b Set[string]
	b.Merge(mustAdd(t, &a, dotAt(t, origin(0), 0, 0), "x"))
	removal := a.Remove("x")
	addition := mustAdd(t, &b, dotAt(t, origin(2), 0, 0), "x")
	a.Merge(addition)
	b.Merge(removal)
	if !a.Has("x") || !a.Equal(&b) {
		t.Error("the removal took away an add that it had not seen")
	}
}

func TestRemovalBeforeItsAdd(t *testing.T) {
	var a, b Set[string]
	addition := mustAdd(t, &a, dotAt(t, origin(0), 0, 0), "x")
	removal := a.Remove("x")
	b.Merge(removal)
	b.Merge(addition)
	if b.Has("x") || !a.Equal(&b) {
		t.Error("an add that came after its removal is back")
	}
}

func TestDotsAreUsedOnce(t *testing.T) {
	var s Set[string]
	d := dotAt(t, origin(0), 0, 0)
	mustAdd(t, &s, d, "x")
	before := s.Clone()
	if _, err := s.Add(d, "y"); !errors.Is(err, ErrDotUsed) || !s.Equal(before) {
		t.Errorf("a second use of a dot: %v", err)
	}
	s.Remove("x")
	if _, err := s.Add(d, "x"); !errors.Is(err, ErrDotUsed) {
		t.Errorf("a second use after the removal: %v", err)
	}
}

// A set under steady change stays as small as its elements, and what it has seen
// as small as its writers.
func TestNothingIsLeftOfTheRemoved(t *testing.T) {
	var s Set[string]
	for sequence := range uint64(1000) {
		mustAdd(t, &s, dotAt(t, origin(0), sequence, 0), "x")
		mustAdd(t, &s, dotAt(t, origin(0), sequence, 1), "y")
		s.Remove("y")
		if err := s.Close(origin(0), sequence); err != nil {
			t.Fatal(err)
		}
	}
	if s.Len() != 1 || len(s.dots("x")) != 1 || s.Context().Fragments() != 1 {
		t.Errorf("%d elements, %d dots, %d fragments; want one of each", s.Len(), len(s.dots("x")), s.Context().Fragments())
	}
}
