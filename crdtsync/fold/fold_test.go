package fold_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/fold"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// writer writes bundles over what a replica of its own has.
type writer struct {
	tb     testing.TB
	key    sig.PrivateKey
	state  *fold.State
	next   bundle.Header
	charge int64
}

func newWriter(tb testing.TB, name string) *writer {
	tb.Helper()
	var seed [sig.SeedSize]byte
	copy(seed[:], name)
	key := sig.FromSeed(seed)
	return &writer{tb: tb, key: key, state: fold.New(), next: bundle.Header{
		Swarm: capability.ID{1}, Origin: bundle.Origin{Writer: key.Public(), Incarnation: 1}, Capability: capability.ID{2},
	}}
}

// makes returns a bundle of operations with references of its own choice, and does not apply it.
func (w *writer) makes(at int64, refs []bundle.Reference, ops ...bundle.Operation) *bundle.Bundle {
	w.tb.Helper()
	w.next.Time = crdt.Time{Wall: at}
	b, err := bundle.New(w.next, bundle.Body{References: refs, Operations: ops}, w.charge, w.key)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.next.Sequence, w.next.Previous, w.charge = b.Sequence+1, b.ID(), b.Charge
	return b
}

// does writes operations over all that the writer has seen.
func (w *writer) does(at int64, ops ...bundle.Operation) *bundle.Bundle {
	w.tb.Helper()
	var paths []string
	for _, op := range ops {
		paths = append(paths, op.Document)
	}
	b := w.makes(at, w.state.References(paths...), ops...)
	w.sees(b)
	return b
}

func (w *writer) sees(bundles ...*bundle.Bundle) {
	w.tb.Helper()
	for _, b := range bundles {
		if _, err := w.state.Add(b); err != nil {
			w.tb.Fatal(err)
		}
	}
}

const doc = "notes/a"

func set(value string) bundle.Operation {
	return bundle.Operation{Kind: bundle.Set, Document: doc, Field: "text", Value: bundle.TextValue(value)}
}

func tag(kind bundle.Kind, element string) bundle.Operation {
	return bundle.Operation{Kind: kind, Document: doc, Field: "tags", Element: element}
}

func count(n int64) bundle.Operation {
	return bundle.Operation{Kind: bundle.Count, Document: doc, Field: "n", Value: bundle.WholeValue(n)}
}

var remove = bundle.Operation{Kind: bundle.Delete, Document: doc}

// show returns what a reader sees.
func show(s *fold.State) string {
	d := s.Document(doc)
	if d == nil {
		return "none"
	}
	n, counted := d.Sum("n")
	out := fmt.Sprint(d.Values("text"), slices.Collect(d.Elements("tags")))
	if counted {
		out += fmt.Sprint(" ", n)
	}
	return out
}

func TestWhatWasSeenDecides(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(a, b *writer)
		want string
	}{
		"a write over what was seen, with a slower clock": {func(a, b *writer) {
			b.sees(a.does(1000, set("old")))
			a.sees(b.does(1, set("new")))
		}, "[new] []"},
		"two that did not see each other": {func(a, b *writer) {
			x, y := a.does(5, set("x")), b.does(6, set("y"))
			a.sees(y)
			b.sees(x)
		}, "[y x] []"},
		"and one that saw both": {func(a, b *writer) {
			x, y := a.does(5, set("x")), b.does(6, set("y"))
			a.sees(y)
			b.sees(x, a.does(7, set("z")))
		}, "[z] []"},
		"an addition beside a removal": {func(a, b *writer) {
			first := a.does(1, tag(bundle.Add, "t"))
			b.sees(first)
			again, gone := a.does(2, tag(bundle.Add, "t")), b.does(3, tag(bundle.Remove, "t"))
			a.sees(gone)
			b.sees(again)
		}, "[] [t]"},
		"a removal that saw the addition": {func(a, b *writer) {
			b.sees(a.does(1, tag(bundle.Add, "t"), tag(bundle.Add, "u")))
			a.sees(b.does(1, tag(bundle.Remove, "t")))
		}, "[] [u]"},
		"counted at two places": {func(a, b *writer) {
			x, y := a.does(1, count(5)), b.does(1, count(-7))
			a.sees(y)
			b.sees(x)
		}, "[] [] -2"},
		"counted on after a deletion": {func(a, b *writer) {
			b.sees(a.does(1, count(5), set("x")))
			del, more := b.does(2, remove), a.does(2, count(3))
			a.sees(del)
			b.sees(more)
		}, "[] [] 3"},
		"a deletion brings nothing back": {func(a, b *writer) {
			b.sees(a.does(1, set("x"), tag(bundle.Add, "t")))
			a.sees(b.does(2, remove))
		}, "none"},
		"a field beside a deletion comes alone": {func(a, b *writer) {
			b.sees(a.does(1, set("x"), tag(bundle.Add, "t")))
			del, more := b.does(2, remove), a.does(2, set("y"))
			a.sees(del)
			b.sees(more)
		}, "[y] []"},
		"twice in one bundle": {func(a, b *writer) {
			b.sees(a.does(1, set("x"), tag(bundle.Add, "t"), set("y"), tag(bundle.Remove, "t"), tag(bundle.Add, "u")))
		}, "[y] [u]"},
		"sums beyond 64 bits": {func(a, b *writer) {
			for range 1025 {
				b.sees(a.does(1, count(bundle.MaxAmount)))
			}
		}, fmt.Sprint("[] [] ", int64(math.MaxInt64))},
	} {
		a, b := newWriter(t, "a"), newWriter(t, "b")
		c.run(a, b)
		if got := show(a.state); got != c.want || show(b.state) != got {
			t.Errorf("%s: %s and %s, want %s", name, got, show(b.state), c.want)
		}
	}
}

// A sequence can be guessed, the ID of what is not there yet cannot.
func TestNobodySupersedesWhatIsNotThere(t *testing.T) {
	a, b := newWriter(t, "a"), newWriter(t, "b")
	x := a.does(1, set("x"))
	later := a.does(2, set("y"), tag(bundle.Add, "t"))
	guess := b.makes(3, []bundle.Reference{{Origin: a.next.Origin, Sequence: 1, ID: bundle.ID{7}}}, remove)
	unseen := b.makes(4, []bundle.Reference{{Origin: a.next.Origin, Sequence: 5, ID: later.ID()}}, remove)
	for _, order := range [][]*bundle.Bundle{{x, later, guess, unseen}, {guess, unseen, x, later}, {x, guess, later, unseen}} {
		s := fold.New()
		for _, b := range order {
			if _, err := s.Add(b); err != nil {
				t.Fatal(err)
			}
		}
		if got := show(s); got != "[y] [t]" {
			t.Errorf("%s is left", got)
		}
	}
	// What it names later, it supersedes, whenever that comes.
	knows := b.makes(5, []bundle.Reference{{Origin: a.next.Origin, Sequence: 1, ID: later.ID()}}, remove)
	s := fold.New()
	for _, b := range []*bundle.Bundle{guess, unseen, knows, x} {
		if _, err := s.Add(b); err != nil {
			t.Fatal(err)
		}
	}
	if got := show(s); got != "[x] []" {
		t.Errorf("before that comes %s is left", got)
	}
	if _, err := s.Add(later); err != nil || show(s) != "none" {
		t.Errorf("after that %s is left, %v", show(s), err)
	}
}

func TestWhatDoesNotFollow(t *testing.T) {
	a := newWriter(t, "a")
	x, y := a.does(1, set("x")), a.does(2, set("y"))
	s := fold.New()
	if _, err := s.Add(y); !errors.Is(err, fold.ErrUnlinked) {
		t.Errorf("the second before the first: %v", err)
	}
	for _, news := range []bool{true, false} {
		if got, err := s.Add(x); got != news || err != nil {
			t.Error(got, err)
		}
	}
	fork := newWriter(t, "a")
	z := fork.does(1, set("z"))
	after := fork.does(2, set("zz"))
	for name, b := range map[string]*bundle.Bundle{"another first": z, "what follows it": after} {
		if _, err := s.Add(b); !errors.Is(err, fold.ErrUnlinked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// dumb folds bundles from nothing, as the package comment says it.
func dumb(bundles []*bundle.Bundle) map[string][]string {
	type added struct {
		op  *bundle.Operation
		dot fold.Dot
	}
	held := map[fold.Dot]bundle.ID{}
	var all []added
	for _, b := range bundles {
		held[fold.Dot{Origin: b.Origin, Sequence: b.Sequence}] = b.ID()
		for i := range b.Body.Operations {
			if k := b.Body.Operations[i].Kind; k == bundle.Set || k == bundle.Add || k == bundle.Count {
				all = append(all, added{&b.Body.Operations[i], fold.Dot{Origin: b.Origin, Sequence: b.Sequence, Index: i}})
			}
		}
	}
	covers := func(op, by *bundle.Operation) bool {
		if op.Document != by.Document {
			return false
		}
		switch by.Kind {
		case bundle.Delete:
			return true
		case bundle.Set, bundle.Clear:
			return op.Field == by.Field
		case bundle.Add, bundle.Remove:
			return op.Field == by.Field && op.Element == by.Element
		default:
			return false
		}
	}
	live := map[string][]string{}
	for _, a := range all {
		gone := false
		for _, b := range bundles {
			for i := range b.Body.Operations {
				by := &b.Body.Operations[i]
				own := b.Origin == a.dot.Origin && b.Sequence == a.dot.Sequence && i > a.dot.Index
				seen := slices.ContainsFunc(b.Body.References, func(r bundle.Reference) bool {
					id, ok := held[fold.Dot{Origin: r.Origin, Sequence: r.Sequence}]
					return ok && id == r.ID && r.Origin == a.dot.Origin && r.Sequence >= a.dot.Sequence
				})
				gone = gone || (own || seen) && covers(a.op, by)
			}
		}
		if !gone {
			live[a.op.Document] = append(live[a.op.Document], fmt.Sprint(a.dot, a.op.Field, a.op.Element, a.op.Value))
		}
	}
	for _, l := range live {
		slices.Sort(l)
	}
	return live
}

// Whatever three writers write, of whom one refers to what it likes, in whatever order that
// comes: what is live is what the package comment says, and every replica has the same.
func TestAnyOrderIsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		writers := []*writer{newWriter(t, "a"), newWriter(t, "b"), newWriter(t, "c")}
		var all []*bundle.Bundle
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
						_, _ = w.state.Add(b) // it may not follow what it has
					}
				}
			}
		}
		want := dumb(all)
		var first *fold.State
		for seed := range uint64(4) {
			s, left := fold.New(), slices.Clone(all)
			r := rand.New(rand.NewPCG(seed, 1))
			for len(left) > 0 {
				r.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
				left = slices.DeleteFunc(left, func(b *bundle.Bundle) bool { _, err := s.Add(b); return err == nil })
			}
			got := map[string][]string{}
			for path := range s.Paths() {
				for l := range s.Document(path).Live() {
					got[path] = append(got[path], fmt.Sprint(l.Dot, l.Field, l.Element, l.Value))
				}
				slices.Sort(got[path])
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
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
