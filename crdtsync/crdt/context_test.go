package crdt

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// origin returns a small number's origin: two writers with two lives each.
func origin(n int) Origin {
	return Origin{Writer: Writer{byte(n / 2)}, Incarnation: uint32(n % 2)}
}

func dotAt(t *testing.T, o Origin, sequence uint64, index uint16) Dot {
	t.Helper()
	p, err := At(sequence, index)
	if err != nil {
		t.Fatal(err)
	}
	return Dot{Origin: o, Position: p}
}

func closeBundle(t rapid.TB, c *Context, o Origin, sequence uint64) {
	t.Helper()
	if err := c.AddBundle(o, sequence); err != nil {
		t.Fatal(err)
	}
}

// genDot draws from few dots, so that they meet, at both ends of what exists.
var genDot = rapid.Custom(func(t *rapid.T) Dot {
	p := Position(rapid.Uint64Range(0, 11).Draw(t, "position"))
	if rapid.Bool().Draw(t, "last") {
		p = math.MaxUint64 - p
	}
	return Dot{Origin: origin(rapid.IntRange(0, 3).Draw(t, "origin")), Position: p}
})

// dumbContext is a context that remembers each dot by itself.
type dumbContext map[Dot]bool

var genDots = rapid.Custom(func(t *rapid.T) dumbContext {
	dots := dumbContext{}
	for _, d := range rapid.SliceOfN(genDot, 0, 30).Draw(t, "dots") {
		dots[d] = true
	}
	return dots
})

// context returns what d has seen, in an order that has nothing to do with it.
func (d dumbContext) context() *Context {
	c := new(Context)
	for dot := range d {
		c.Add(dot)
	}
	return c
}

func (d dumbContext) union(e dumbContext) dumbContext {
	u := dumbContext{}
	for _, from := range []dumbContext{d, e} {
		for dot := range from {
			u[dot] = true
		}
	}
	return u
}

// fragments counts the dots whose predecessor is missing.
func (d dumbContext) fragments() int {
	n := 0
	for dot := range d {
		before := dot
		before.Position--
		if dot.Position == 0 || !d[before] {
			n++
		}
	}
	return n
}

func checkContext(t *rapid.T, c *Context, want dumbContext) {
	t.Helper()
	for o := range 4 {
		for p := range Position(12) {
			for _, p := range []Position{p, math.MaxUint64 - p} {
				if d := (Dot{Origin: origin(o), Position: p}); c.Has(d) != want[d] {
					t.Fatalf("Has(%s) = %v", d, c.Has(d))
				}
			}
		}
	}
	if !c.Equal(want.context()) {
		t.Fatal("the same dots have two representations")
	}
	if c.Fragments() != want.fragments() {
		t.Fatalf("%d fragments, want %d", c.Fragments(), want.fragments())
	}
	if got := slices.Collect(c.Origins()); !slices.IsSortedFunc(got, Origin.Compare) || len(slices.Compact(got)) != len(got) {
		t.Fatalf("origins are not in ascending order: %v", got)
	}
}

func TestContextIsASetOfDots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genDots.Draw(t, "a"), genDots.Draw(t, "b")
		ca, cb := a.context(), b.context()
		checkContext(t, ca, a)
		merged := ca.Clone()
		merged.Merge(cb)
		checkContext(t, &merged, a.union(b))
		checkContext(t, ca, a)
		checkContext(t, cb, b)
	})
}

func TestContextMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genDots.Draw(t, "a").context(), genDots.Draw(t, "b").context(), genDots.Draw(t, "c").context()
		merge := func(x, y *Context) *Context {
			m := x.Clone()
			m.Merge(y)
			return &m
		}
		if !merge(a, b).Equal(merge(b, a)) {
			t.Fatal("not commutative")
		}
		if !merge(merge(a, b), c).Equal(merge(a, merge(b, c))) {
			t.Fatal("not associative")
		}
		if ab := merge(a, b); !merge(ab, b).Equal(ab) || !merge(a, a).Equal(a) {
			t.Fatal("not idempotent")
		}
	})
}

func TestBundlesInAnyOrderCompactToOneFragment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation([]uint64{0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "order")
		var c Context
		seen := map[uint64]bool{}
		for _, sequence := range order {
			closeBundle(t, &c, origin(0), sequence)
			seen[sequence] = true
			next := uint64(0)
			for seen[next] {
				next++
			}
			if got := c.Next(origin(0)); got != next {
				t.Fatalf("seen %v, next is %d, not %d", seen, next, got)
			}
		}
		if c.Fragments() != 1 {
			t.Fatalf("%d fragments after all bundles", c.Fragments())
		}
	})
}

func TestNext(t *testing.T) {
	o := origin(0)
	var c Context
	if c.Next(o) != 0 {
		t.Error("an empty context misses more than bundle 0")
	}
	c.Add(dotAt(t, o, 0, 0))
	if c.Next(o) != 0 {
		t.Error("a bundle of which one operation was seen counts as seen")
	}
	closeBundle(t, &c, o, 0)
	closeBundle(t, &c, o, 2)
	if got := c.Next(o); got != 1 {
		t.Errorf("after bundles 0 and 2 the next is %d, want 1", got)
	}
	full := Context{entries: []entry{{origin: o, seen: ranges{{0, math.MaxUint64}}}}}
	if got := full.Next(o); got != MaxSequence+1 {
		t.Errorf("after the last bundle the next is %d", got)
	}
}

func TestSequenceBounds(t *testing.T) {
	var c Context
	if err := c.AddBundle(origin(0), MaxSequence+1); !errors.Is(err, ErrSequence) || c.Fragments() != 0 {
		t.Errorf("AddBundle beyond the last: %v", err)
	}
	if _, err := At(MaxSequence+1, 0); !errors.Is(err, ErrSequence) {
		t.Errorf("At beyond the last: %v", err)
	}
	d := dotAt(t, origin(3), MaxSequence, MaxOperations-1)
	if d.Sequence() != MaxSequence || d.Index() != MaxOperations-1 {
		t.Errorf("the last dot is %s", d)
	}
	closeBundle(t, &c, origin(3), MaxSequence)
	if !c.Has(d) {
		t.Error("the last bundle does not contain the last dot")
	}
}

func TestDotsAreOrdered(t *testing.T) {
	sorted := []Dot{
		dotAt(t, origin(0), 0, 0), dotAt(t, origin(0), 0, 1), dotAt(t, origin(0), 1, 0),
		dotAt(t, origin(1), 0, 0), dotAt(t, origin(2), 0, 0),
	}
	if !slices.IsSortedFunc(sorted, Dot.Compare) {
		t.Error("dots are not ordered by writer, incarnation, sequence, index")
	}
	if got := sorted[2].String(); got != "00000000.0:1.0" {
		t.Errorf("a dot prints as %s", got)
	}
}
