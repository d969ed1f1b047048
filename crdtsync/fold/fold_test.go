package fold_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/crdttest"
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
	key := crdttest.Key(name)
	return &writer{tb: tb, key: key, state: fold.New(nil), next: bundle.Header{
		Swarm: capability.ID{1}, Origin: bundle.Origin{Writer: key.Public(), Incarnation: 1}, Capability: capability.ID{2},
	}}
}

// add has a bundle count, and all of its origin.
func add(s *fold.State, b *bundle.Bundle) (bool, error) {
	s.Count(b.Origin, 0, bundle.MaxSequence+1)
	return s.Add(b)
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
		if _, err := add(w.state, b); err != nil {
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
		s := fold.New(nil)
		for _, b := range order {
			if _, err := add(s, b); err != nil {
				t.Fatal(err)
			}
		}
		if got := show(s); got != "[y] [t]" {
			t.Errorf("%s is left", got)
		}
	}
	// What it names later, it supersedes, whenever that comes.
	knows := b.makes(5, []bundle.Reference{{Origin: a.next.Origin, Sequence: 1, ID: later.ID()}}, remove)
	s := fold.New(nil)
	for _, b := range []*bundle.Bundle{guess, unseen, knows, x} {
		if _, err := add(s, b); err != nil {
			t.Fatal(err)
		}
	}
	if got := show(s); got != "[x] []" {
		t.Errorf("before that comes %s is left", got)
	}
	if _, err := add(s, later); err != nil || show(s) != "none" {
		t.Errorf("after that %s is left, %v", show(s), err)
	}
}

func TestWhatDoesNotFollow(t *testing.T) {
	a := newWriter(t, "a")
	x, y := a.does(1, set("x")), a.does(2, set("y"))
	s := fold.New(nil)
	if _, err := add(s, y); !errors.Is(err, fold.ErrUnlinked) {
		t.Errorf("the second before the first: %v", err)
	}
	for _, news := range []bool{true, false} {
		if got, err := add(s, x); got != news || err != nil {
			t.Error(got, err)
		}
	}
	fork := newWriter(t, "a")
	z := fork.does(1, set("z"))
	after := fork.does(2, set("zz"))
	for name, b := range map[string]*bundle.Bundle{"another first": z, "what follows it": after} {
		if _, err := add(s, b); !errors.Is(err, fold.ErrUnlinked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// dumb folds bundles that all count from nothing, as the package comment says it.
func dumb(bundles []*bundle.Bundle, covers fold.Covers) map[string][]string {
	type added struct {
		op  *bundle.Operation
		dot fold.Dot
	}
	held := map[fold.Dot]bundle.ID{}
	var all []added
	for _, b := range bundles {
		held[fold.Dot{Origin: b.Origin, Sequence: b.Sequence}] = b.ID()
		for i := range b.Body.Operations {
			op := &b.Body.Operations[i]
			if k := op.Kind; (k == bundle.Set || k == bundle.Add || k == bundle.Count) && covers(b.Capability, op.Document) {
				all = append(all, added{&b.Body.Operations[i], fold.Dot{Origin: b.Origin, Sequence: b.Sequence, Index: i}})
			}
		}
	}
	reaches := func(op, by *bundle.Operation) bool {
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
				gone = gone || (own || seen) && reaches(a.op, by) && covers(b.Capability, by.Document)
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

// Paths are in order whatever came and went since they were asked for last.
func TestPathsAreInOrder(t *testing.T) {
	w := newWriter(t, "a")
	put := func(kind bundle.Kind, path string) {
		op := bundle.Operation{Kind: kind, Document: path}
		if kind == bundle.Set {
			op.Field, op.Value = "f", bundle.BoolValue(true)
		}
		w.does(1, op)
	}
	for _, path := range []string{"n/c", "n/a", "m/z"} {
		put(bundle.Set, path)
	}
	for _, want := range [][]string{{"m/z", "n/a", "n/c"}, {"m/z", "n/c"}, {"m/z", "n/b", "n/c"}} {
		if got := slices.Collect(w.state.Paths()); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if got := slices.Collect(w.state.From("n/")); !slices.Equal(got, want[1:]) {
			t.Errorf("from n/ on there is %v", got)
		}
		if len(want) == 3 {
			put(bundle.Delete, "n/a")
		} else {
			put(bundle.Set, "n/b")
		}
	}
	if got := slices.Collect(w.state.From("o")); len(got) != 0 {
		t.Errorf("beyond the last there is %v", got)
	}
}
