package fold

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
)

// Dot names one operation.
type Dot struct {
	bundle.Origin
	Sequence int64
	Index    int
}

// Compare orders dots by origin, sequence and index.
func (d Dot) Compare(e Dot) int {
	return cmp.Or(d.Origin.Compare(e.Origin), cmp.Compare(d.Sequence, e.Sequence), cmp.Compare(d.Index, e.Index))
}

// String returns origin, sequence and index.
func (d Dot) String() string { return fmt.Sprintf("%v:%d.%d", d.Origin, d.Sequence, d.Index) }

// Live is an operation that adds something and that nothing has superseded.
type Live struct {
	Dot     Dot
	Time    crdt.Time // of its bundle
	Kind    bundle.Kind
	Field   string
	Element string
	Value   bundle.Value
}

// later orders live operations by what a reader prefers: time, then dot.
func (l *Live) later(o *Live) int {
	return cmp.Or(l.Time.Compare(o.Time), l.Dot.Compare(o.Dot))
}

// few is how much may be live in a document for it to do without an index.
const few = 32

// Document is what is live in one document. The zero value is empty, which is one that does
// not exist. It is not safe for concurrent use.
type Document struct {
	live  []Live // ascending by field, element and dot
	index *index // of a document with more than few; what is live is made of it when it is asked for
}

func compareLive(a, b *Live) int {
	return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Element, b.Element), a.Dot.Compare(b.Dot))
}

// Exists reports whether anything is live.
func (d *Document) Exists() bool {
	if d.index != nil {
		return d.index.alive > 0
	}
	return len(d.live) > 0
}

// sorted returns what is live, in order of field, element and dot.
func (d *Document) sorted() []Live {
	if d.index != nil && d.live == nil {
		d.live = d.index.live()
		slices.SortFunc(d.live, func(a, b Live) int { return compareLive(&a, &b) })
	}
	return d.live
}

// Live yields what is live, in order of field, element and dot.
func (d *Document) Live() iter.Seq[Live] { return slices.Values(d.sorted()) }

// Equal reports whether the same is live in two documents.
func (d *Document) Equal(o *Document) bool { return slices.Equal(d.sorted(), o.sorted()) }

// origins returns of which origins something is live, in no order.
func (d *Document) origins() map[bundle.Origin]bool {
	out := map[bundle.Origin]bool{}
	if d.index != nil {
		for _, o := range slices.Collect(maps.Keys(d.index.all)) {
			if d.index.first(o) <= bundle.MaxSequence {
				out[o] = true
			}
		}
		return out
	}
	for i := range d.live {
		out[d.live[i].Dot.Origin] = true
	}
	return out
}

// add makes an operation live, unless it adds nothing. It comes after all of its origin.
func (d *Document) add(op *bundle.Operation, dot Dot, at crdt.Time) {
	if op.Kind != bundle.Set && op.Kind != bundle.Add && op.Kind != bundle.Count {
		return
	}
	l := Live{Dot: dot, Time: at, Kind: op.Kind, Field: op.Field, Element: op.Element, Value: op.Value}
	if d.index != nil {
		d.index.add(l)
		d.live = nil
		return
	}
	i, _ := slices.BinarySearchFunc(d.live, &l, func(a Live, b *Live) int { return compareLive(&a, b) })
	d.live = slices.Insert(d.live, i, l)
	if len(d.live) > few {
		d.index, d.live = newIndex(d.live), nil
	}
}

// apply has an operation of a bundle take effect on what the same bundle has done before,
// which its writer has seen, and for those to come.
func (d *Document) apply(b *bundle.Bundle, index int) {
	op := &b.Body.Operations[index]
	if d.index != nil {
		d.index.own(op, b.Origin, b.Sequence)
		d.shrink()
	} else {
		d.live = slices.DeleteFunc(d.live, func(l Live) bool {
			return aims(op, l.Field, l.Element) && l.Dot.Origin == b.Origin && l.Dot.Sequence == b.Sequence
		})
	}
	d.add(op, Dot{b.Origin, b.Sequence, index}, b.Time)
}

// seen has a bundle's operations, which aim at something, take effect on what its writer had
// seen by references, which are in order.
func (d *Document) seen(a *aim, refs []bundle.Reference) {
	if d.index != nil {
		d.index.seen(a, refs)
		d.shrink()
		return
	}
	d.live = slices.DeleteFunc(d.live, func(l Live) bool { return a.at(element{l.Field, l.Element}) && within(refs, l.Dot) })
}

// shrink lets go of what has ended, once it is more than what is live.
func (d *Document) shrink() {
	d.live = nil
	if x := d.index; x.alive <= few/2 {
		d.index = nil
		d.live = x.live()
		slices.SortFunc(d.live, func(a, b Live) int { return compareLive(&a, &b) })
	} else if x.ended > x.alive {
		d.index = newIndex(x.live())
	}
}

// aims reports whether a field or an element of it lies in what an operation supersedes.
func aims(op *bundle.Operation, field, element string) bool {
	switch op.Kind {
	case bundle.Delete:
		return true
	case bundle.Set, bundle.Clear:
		return op.Field == field
	case bundle.Add, bundle.Remove:
		return op.Field == field && op.Element == element && element != ""
	default:
		return false
	}
}

// Fields yields the names of the fields in which something is live, in order.
func (d *Document) Fields() iter.Seq[string] {
	live := d.sorted()
	return func(yield func(string) bool) {
		for i := range live {
			if (i == 0 || live[i-1].Field != live[i].Field) && !yield(live[i].Field) {
				return
			}
		}
	}
}

// field returns what is live of a field.
func (d *Document) field(name string) []Live {
	live := d.sorted()
	from, _ := slices.BinarySearchFunc(live, name, func(l Live, name string) int { return cmp.Compare(l.Field, name) })
	to := from
	for to < len(live) && live[to].Field == name {
		to++
	}
	return live[from:to]
}

// Values returns the values that a register holds, the one that is shown first. There are
// more than one when they were written without knowledge of each other.
func (d *Document) Values(field string) []bundle.Value {
	return values(d.field(field), bundle.Set, "")
}

// At returns the values that a map holds for an element, as Values does for a register.
func (d *Document) At(field, element string) []bundle.Value {
	return values(d.field(field), bundle.Add, element)
}

func values(of []Live, kind bundle.Kind, element string) []bundle.Value {
	var found []*Live
	for i := range of {
		if l := &of[i]; l.Kind == kind && l.Element == element && l.Value.Type() != bundle.None {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, func(a, b *Live) int { return b.later(a) })
	out := make([]bundle.Value, len(found))
	for i, l := range found {
		out[i] = l.Value
	}
	return out
}

// Elements yields the elements of a set or a map, in order.
func (d *Document) Elements(field string) iter.Seq[string] {
	of := d.field(field)
	return func(yield func(string) bool) {
		last := ""
		for i := range of {
			if l := &of[i]; l.Kind == bundle.Add && l.Element != last {
				if last = l.Element; !yield(last) {
					return
				}
			}
		}
	}
}

// Has reports whether an element is in a set or a map.
func (d *Document) Has(field, element string) bool {
	return slices.ContainsFunc(d.field(field), func(l Live) bool { return l.Kind == bundle.Add && l.Element == element })
}

// Sum returns what a counter has come to, cut to what fits into 64 bits, and whether there
// is one.
func (d *Document) Sum(field string) (int64, bool) {
	var sum wide
	some := false
	for _, l := range d.field(field) {
		if l.Kind == bundle.Count {
			sum.add(l.Value.Whole())
			some = true
		}
	}
	return sum.clamped(), some
}

// wide is an integer of 128 bits, so that no order of additions runs over.
type wide struct {
	high int64
	low  uint64
}

func (w *wide) add(n int64) {
	low, carry := bits.Add64(w.low, uint64(n), 0)
	w.low = low
	w.high += n>>63 + int64(carry)
}

func (w *wide) clamped() int64 {
	switch n := int64(w.low); {
	case w.high == n>>63:
		return n
	case w.high < 0:
		return math.MinInt64
	default:
		return math.MaxInt64
	}
}
