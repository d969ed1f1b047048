package fold_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/fold"
	"github.com/decube/decube/internal/capability"
)

// written returns what three writers write, of whom one refers to what it likes, and who have
// seen some of it when they write.
func written(t *testing.T, rt *rapid.T) (all []*bundle.Bundle) {
	t.Helper()
	writers := []*writer{newWriter(t, "a"), newWriter(t, "b"), newWriter(t, "c")}
	writers[1].next.Capability = capability.ID{3}
	for range rapid.IntRange(1, 14).Draw(rt, "bundles") {
		i := rapid.IntRange(0, 2).Draw(rt, "writer")
		w := writers[i]
		var ops []bundle.Operation
		for range rapid.IntRange(1, 3).Draw(rt, "operations") {
			op := rapid.SampledFrom([]bundle.Operation{
				set("x"), set("y"), tag(bundle.Add, "t"), tag(bundle.Add, "u"), tag(bundle.Remove, "t"), count(1), remove,
				{Kind: bundle.Clear, Document: doc, Field: "tags"},
			}).Draw(rt, "operation")
			op.Document = rapid.SampledFrom([]string{doc, "notes/b"}).Draw(rt, "document")
			ops = append(ops, op)
		}
		at := rapid.Int64Range(0, 9).Draw(rt, "time")
		if i < 2 {
			all = append(all, w.does(at, ops...))
		} else { // it says that it has seen what it likes
			var refs []bundle.Reference
			for j, o := range writers {
				if n := rapid.Int64Range(-1, 6).Draw(rt, "sequence"); n >= 0 {
					r := bundle.Reference{Origin: o.next.Origin, Sequence: n}
					for _, b := range all {
						if b.Origin == o.next.Origin && b.Sequence == n && rapid.IntRange(0, 3).Draw(rt, "honest") > 0 {
							r.ID = b.ID()
						}
					}
					if refs = append(refs, r); j == 2 {
						refs[len(refs)-1].ID[0]++ // nobody knows an ID before it is there
					}
				}
			}
			slices.SortFunc(refs, func(a, b bundle.Reference) int { return a.Compare(b.Origin) })
			b := w.makes(at, refs, ops...)
			w.sees(b)
			all = append(all, b)
		}
		for _, w := range writers[:2] {
			for _, b := range all {
				if rapid.Bool().Draw(rt, "seen") {
					_, _ = add(w.state, b) // it may not follow what it has
				}
			}
		}
	}
	return all
}

// live returns what is live in a state, as dumb says it.
func live(s *fold.State) map[string][]string {
	got := map[string][]string{}
	for path := range s.Paths() {
		for l := range s.Document(path).Live() {
			got[path] = append(got[path], fmt.Sprint(l.Dot, l.Field, l.Element, l.Value))
		}
		slices.Sort(got[path])
	}
	return got
}

// Whatever is written, in whatever order it comes: what is live is what the package comment
// says, and every replica has the same.
func TestAnyOrderIsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := written(t, rt)
		want := dumb(all, func(capability.ID, string) bool { return true })
		var first *fold.State
		for seed := range uint64(4) {
			s, left := fold.New(nil), slices.Clone(all)
			r := rand.New(rand.NewPCG(seed, 1))
			for len(left) > 0 {
				r.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
				left = slices.DeleteFunc(left, func(b *bundle.Bundle) bool { _, err := add(s, b); return err == nil })
			}
			if got := live(s); fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("%v\nis live, and should be\n%v", got, want)
			}
			if first == nil {
				first = s
			}
			for path := range first.Paths() {
				if !first.Document(path).Equal(s.Document(path)) {
					rt.Fatalf("%s differs", path)
				}
			}
		}
	})
}

// Whatever counted in between, what does not count in the end is as if it had never been
// there, and what its capability does not cover has no effect.
func TestOnlyWhatCountsCounts(t *testing.T) {
	covers := func(c capability.ID, path string) bool { return c != capability.ID{3} || path == doc }
	rapid.Check(t, func(rt *rapid.T) {
		all := written(t, rt)
		origins := map[bundle.Origin]int64{}
		for _, b := range all {
			origins[b.Origin]++
		}
		span := func(o bundle.Origin) [2]int64 {
			from := rapid.SampledFrom([]int64{0, 0, 0, 1, 2}).Draw(rt, "from")
			return [2]int64{from, rapid.Int64Range(from, origins[o]+1).Draw(rt, "to")}
		}
		s, left := fold.New(covers), slices.Clone(all)
		order := slices.SortedFunc(maps.Keys(origins), bundle.Origin.Compare)
		for len(left) > 0 {
			for _, o := range order {
				if rapid.Bool().Draw(rt, "otherwise now") {
					to := span(o)
					s.Count(o, to[0], to[1])
				}
			}
			n := rapid.IntRange(0, len(left)-1).Draw(rt, "which")
			if _, err := s.Add(left[n]); err == nil {
				left = slices.Delete(left, n, n+1)
			}
		}
		spans := map[bundle.Origin][2]int64{}
		for _, o := range order {
			spans[o] = span(o)
			s.Count(o, spans[o][0], spans[o][1])
		}
		counted := slices.DeleteFunc(all, func(b *bundle.Bundle) bool {
			return b.Sequence < spans[b.Origin][0] || b.Sequence >= spans[b.Origin][1]
		})
		want := dumb(counted, covers)
		if got := live(s); fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("%v\nis live, and should be\n%v", got, want)
		}
		for _, r := range s.References(slices.Collect(s.Paths())...) {
			if r.Sequence != min(spans[r.Origin][1], origins[r.Origin])-1 {
				rt.Fatalf("it would refer to %v %d, and %v count", r.Origin, r.Sequence, spans[r.Origin])
			}
		}
	})
}

// What a cut takes away comes back with what it had superseded.
func TestWhatIsCutOffLeavesNothing(t *testing.T) {
	a, b := newWriter(t, "a"), newWriter(t, "b")
	x := a.does(1, set("x"), tag(bundle.Add, "t"))
	b.sees(x)
	gone := b.does(2, remove)
	a.sees(gone)
	after := a.does(3, set("y"))
	b.sees(after)
	if got := show(b.state); got != "[y] []" {
		t.Fatalf("%s is live", got)
	}
	b.state.Count(gone.Origin, 0, 0)
	if got := show(b.state); got != "[x y] [t]" && got != "[y x] [t]" {
		t.Errorf("without the deletion %s is live", got)
	}
	b.state.Count(after.Origin, 0, 1)
	if got := show(b.state); got != "[x] [t]" {
		t.Errorf("without what came after it %s is live", got)
	}
	b.state.Count(gone.Origin, 0, 1)
	b.state.Count(after.Origin, 0, 2)
	if got := show(b.state); got != "[y] []" || !b.state.Document(doc).Equal(a.state.Document(doc)) {
		t.Errorf("with all again %s is live", got)
	}
}
