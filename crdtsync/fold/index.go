package fold

import (
	"slices"

	"github.com/decube/decube/crdtsync/bundle"
)

// aim is what of a document operations of one bundle supersede.
type aim struct {
	all      bool
	fields   map[string]bool
	elements map[element]bool
}

// element is where something is in a document.
type element struct{ field, element string }

// aims returns what operations of a bundle supersede in each document.
func (s *State) aims(b *bundle.Bundle) map[string]*aim {
	of := map[string]*aim{}
	for i := range b.Body.Operations {
		op := &b.Body.Operations[i]
		if op.Kind == bundle.Count || !s.covered(b, op) {
			continue
		}
		a := of[op.Document]
		if a == nil {
			a = &aim{fields: map[string]bool{}, elements: map[element]bool{}}
			of[op.Document] = a
		}
		switch op.Kind {
		case bundle.Delete:
			a.all = true
		case bundle.Set, bundle.Clear:
			a.fields[op.Field] = true
		default:
			a.elements[element{op.Field, op.Element}] = true
		}
	}
	return of
}

// at reports whether a field or an element of it is aimed at.
func (a *aim) at(e element) bool { return a.all || a.fields[e.field] || a.elements[e] }

// within reports whether a dot is within references, which are in order.
func within(refs []bundle.Reference, d Dot) bool {
	i, found := slices.BinarySearchFunc(refs, d.Origin, func(r bundle.Reference, o bundle.Origin) int { return r.Compare(o) })
	return found && d.Sequence <= refs[i].Sequence
}

// index finds what is live in a large document, so that no bundle costs as much as all that is
// there. Each list is of one origin, which what its operations do comes from in order: what is
// superseded is at its beginning, or the end of it where a bundle supersedes what it has done
// itself. What has ended is taken out of a list when it is come upon.
type index struct {
	all      map[bundle.Origin][]*entry
	fields   map[fieldOf][]*entry
	elements map[elementOf][]*entry

	alive, ended int
}

type entry struct {
	Live

	ended bool
}

type fieldOf struct {
	bundle.Origin

	field string
}

type elementOf struct {
	bundle.Origin

	at element
}

func newIndex(live []Live) *index {
	x := &index{all: map[bundle.Origin][]*entry{}, fields: map[fieldOf][]*entry{}, elements: map[elementOf][]*entry{}}
	slices.SortFunc(live, func(a, b Live) int { return a.Dot.Compare(b.Dot) })
	for i := range live {
		x.add(live[i])
	}
	return x
}

// add makes something live that comes after all that is live of its origin.
func (x *index) add(l Live) {
	e, o := &entry{Live: l}, l.Dot.Origin
	x.all[o] = append(x.all[o], e)
	f := fieldOf{o, l.Field}
	x.fields[f] = append(x.fields[f], e)
	if l.Element != "" {
		at := elementOf{o, element{l.Field, l.Element}}
		x.elements[at] = append(x.elements[at], e)
	}
	x.alive++
}

// live returns all that is live, in no order.
func (x *index) live() []Live {
	out := make([]Live, 0, x.alive)
	for _, list := range x.all {
		for _, e := range list {
			if !e.ended {
				out = append(out, e.Live)
			}
		}
	}
	return out
}

// seen ends what is aimed at within references.
func (x *index) seen(a *aim, refs []bundle.Reference) {
	var some []bundle.Reference
	for _, r := range refs {
		if x.first(r.Origin) <= r.Sequence {
			some = append(some, r)
		}
	}
	switch {
	case len(some) == 0:
	case a.all:
		for _, r := range some {
			endTo(x, x.all, r.Origin, r.Sequence)
		}
	case (len(a.fields)+len(a.elements))*len(some) > x.alive+x.ended:
		for _, r := range some {
			for _, e := range x.all[r.Origin] {
				if e.Dot.Sequence <= r.Sequence && a.at(element{e.Field, e.Element}) {
					x.end(e)
				}
			}
		}
	default:
		for _, r := range some {
			for f := range a.fields {
				endTo(x, x.fields, fieldOf{r.Origin, f}, r.Sequence)
			}
			for e := range a.elements {
				endTo(x, x.elements, elementOf{r.Origin, e}, r.Sequence)
			}
		}
	}
}

// first returns the sequence of the first bundle of an origin of which something is live.
func (x *index) first(o bundle.Origin) int64 {
	list := x.all[o]
	for len(list) > 0 && list[0].ended {
		list = list[1:]
	}
	if len(list) == 0 {
		delete(x.all, o)
		return bundle.MaxSequence + 1
	}
	x.all[o] = list
	return list[0].Dot.Sequence
}

// own ends what an operation supersedes of what its own bundle has done before.
func (x *index) own(op *bundle.Operation, o bundle.Origin, sequence int64) {
	switch op.Kind {
	case bundle.Delete:
		endFrom(x, x.all, o, sequence)
	case bundle.Set, bundle.Clear:
		endFrom(x, x.fields, fieldOf{o, op.Field}, sequence)
	case bundle.Add, bundle.Remove:
		endFrom(x, x.elements, elementOf{o, element{op.Field, op.Element}}, sequence)
	default:
	}
}

func (x *index) end(e *entry) {
	if !e.ended {
		e.ended = true
		x.alive--
		x.ended++
	}
}

// endTo ends what a list has up to a sequence.
func endTo[K comparable](x *index, lists map[K][]*entry, k K, sequence int64) {
	list := lists[k]
	for len(list) > 0 && list[0].Dot.Sequence <= sequence {
		x.end(list[0])
		list = list[1:]
	}
	put(lists, k, list)
}

// endFrom ends what a list has from a sequence on.
func endFrom[K comparable](x *index, lists map[K][]*entry, k K, sequence int64) {
	list := lists[k]
	for n := len(list); n > 0 && list[n-1].Dot.Sequence >= sequence; n-- {
		x.end(list[n-1])
		list = list[:n-1]
	}
	put(lists, k, list)
}

func put[K comparable](lists map[K][]*entry, k K, list []*entry) {
	if len(list) == 0 {
		delete(lists, k)
	} else {
		lists[k] = list
	}
}
