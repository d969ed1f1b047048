package fold

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/internal/sig"
)

// A document with an index has what a list of all that is live would have, however it grows and
// shrinks.
func TestLargeDocuments(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var d Document
		var plain []Live
		sequences := [3]int64{}
		for range rapid.IntRange(1, 12).Draw(rt, "bundles") {
			o := rapid.IntRange(0, 2).Draw(rt, "origin")
			b := &bundle.Bundle{Header: bundle.Header{Origin: bundle.Origin{Incarnation: uint64(o)}, Sequence: sequences[o], Time: crdt.Time{Wall: 1}}}
			sequences[o]++
			var refs []bundle.Reference
			for i := range sequences {
				if n := rapid.Int64Range(-1, 6).Draw(rt, "seen"); n >= 0 && (i != o || n < b.Sequence) {
					refs = append(refs, bundle.Reference{Origin: bundle.Origin{Incarnation: uint64(i)}, Sequence: n})
				}
			}
			most := rapid.SampledFrom([]int{3, 60}).Draw(rt, "most")
			for range rapid.IntRange(1, most).Draw(rt, "operations") {
				kind := rapid.SampledFrom([]bundle.Kind{bundle.Add, bundle.Add, bundle.Add, bundle.Add, bundle.Add, bundle.Remove, bundle.Count, bundle.Set, bundle.Clear, bundle.Delete}).Draw(rt, "kind")
				op := bundle.Operation{Kind: kind, Document: "notes/a"}
				if kind != bundle.Delete {
					op.Field = fmt.Sprint(rapid.IntRange(0, 3).Draw(rt, "field"))
				}
				if kind == bundle.Add || kind == bundle.Remove {
					op.Element = fmt.Sprint(rapid.IntRange(0, 40).Draw(rt, "element"))
				}
				b.Body.Operations = append(b.Body.Operations, op)
			}
			d.seen(New(nil).aimsKnown(b), refs)
			for i := range b.Body.Operations {
				op := &b.Body.Operations[i]
				plain = slices.DeleteFunc(plain, func(l Live) bool {
					return aims(op, l.Field, l.Element) && within(refs, l.Dot)
				})
			}
			for i := range b.Body.Operations {
				d.apply(b, i)
				op := &b.Body.Operations[i]
				plain = slices.DeleteFunc(plain, func(l Live) bool {
					return aims(op, l.Field, l.Element) && l.Dot.Origin == b.Origin && l.Dot.Sequence == b.Sequence
				})
				var one Document
				one.add(op, Dot{b.Origin, b.Sequence, i}, b.Time)
				plain = append(plain, one.live...)
			}
			slices.SortFunc(plain, func(a, b Live) int { return compareLive(&a, &b) })
			if !slices.Equal(d.sorted(), plain) || d.Exists() != (len(plain) > 0) {
				rt.Fatalf("%v\nis live, and should be\n%v", d.sorted(), plain)
			}
			if d.index == nil && len(plain) > few || d.index != nil && d.index.ended > d.index.alive {
				rt.Fatalf("an index %v with %d live", d.index, len(plain))
			}
		}
	})
}

// aimsKnown returns what a bundle that writes one document aims at there.
func (s *State) aimsKnown(b *bundle.Bundle) *aim {
	for i := range b.Body.Operations {
		if b.Body.Operations[i].Kind == bundle.Count || b.Body.Operations[i].Kind == bundle.Set {
			b.Body.Operations[i].Value = bundle.WholeValue(1)
		}
	}
	if a := s.aims(b)["notes/a"]; a != nil {
		return a
	}
	return &aim{}
}

// chainOf returns bundles of an origin, the last of which refers to what it is given.
func chainOf(tb testing.TB, key sig.PrivateKey, incarnation uint64, refs []bundle.Reference, bodies ...[]bundle.Operation) (all []*bundle.Bundle) {
	tb.Helper()
	place, charge := bundle.Header{Origin: bundle.Origin{Incarnation: incarnation}}, int64(0)
	for i, ops := range bodies {
		body := bundle.Body{Operations: ops}
		if i == len(bodies)-1 {
			body.References = refs
		}
		place.Time.Wall++
		b, err := bundle.New(place, body, charge, key)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, b)
		place.Sequence, place.Previous, charge = b.Sequence+1, b.ID(), b.Charge
	}
	return all
}

// soon bounds what takes a part of a second, and took minutes.
const soon = 20 * time.Second

// A bundle with many operations and many references costs about as much as it has bytes, and not
// what is live times both; and a fault that cuts off many origins has one document folded once.
func TestNoBundleCostsAsMuchAsAllThatIsLive(t *testing.T) {
	key := sig.FromSeed([sig.SeedSize]byte{1})
	began := time.Now()
	s := New(nil)
	enter := func(all ...*bundle.Bundle) {
		for _, b := range all {
			s.Count(b.Origin, 0, bundle.MaxSequence)
			if _, err := s.Add(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	operations := func(kind bundle.Kind, from, to int) (ops []bundle.Operation) {
		for i := from; i < to; i++ {
			ops = append(ops, bundle.Operation{Kind: kind, Document: "notes/a", Field: "t", Element: fmt.Sprint(i)})
		}
		return ops
	}
	var refs []bundle.Reference
	for o := range 400 {
		made := chainOf(t, key, uint64(o), nil, operations(bundle.Add, o, o+1), operations(bundle.Add, 250*o, 250*o+250))
		enter(made...)
		refs = append(refs, bundle.Reference{Origin: made[0].Origin, Sequence: 0, ID: made[0].ID()})
	}
	for n := range 20 {
		for _, kind := range []bundle.Kind{bundle.Remove, bundle.Add} {
			enter(chainOf(t, key, uint64(1000+n)+uint64(kind)*100, refs, operations(kind, 0, 2000))...)
		}
		enter(chainOf(t, key, uint64(5000+n), refs, slices.Repeat([]bundle.Operation{{Kind: bundle.Delete, Document: "notes/a"}}, 2000))...)
	}
	if d := s.Document("notes/a"); len(d.sorted()) < 50_000 {
		t.Errorf("%d are live", len(d.sorted()))
	}
	const many = 20_000
	for o := range uint64(many) {
		enter(chainOf(t, key, 10_000+o, nil, operations(bundle.Add, 0, 1))...)
	}
	for o := range uint64(many) {
		s.Count(bundle.Origin{Writer: key.Public(), Incarnation: 10_000 + o}, 0, 0)
	}
	if d := s.Document("notes/a"); len(d.sorted()) < 50_000 {
		t.Errorf("%d are live", len(d.sorted()))
	}
	if took := time.Since(began); took > soon {
		t.Errorf("it took %v", took)
	}
}
