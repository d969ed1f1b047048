package crdt

import (
	"iter"
	"slices"
)

// Context is a set of dots: all that a replica has seen. The zero value is
// empty. Copying a Context by assignment makes two that must not both be
// changed; use [Context.Clone].
type Context struct {
	entries []entry // ascending by origin, none with empty ranges
}

type entry struct {
	origin Origin
	seen   ranges
}

func byOrigin(e entry, o Origin) int { return e.origin.Compare(o) }

// Has reports whether d has been seen.
func (c *Context) Has(d Dot) bool { return c.of(d.Origin).has(d.Position) }

// of returns what has been seen of o.
func (c *Context) of(o Origin) ranges {
	if i, ok := slices.BinarySearchFunc(c.entries, o, byOrigin); ok {
		return c.entries[i].seen
	}
	return nil
}

// Add marks one dot as seen.
func (c *Context) Add(d Dot) { c.add(d.Origin, span{d.Position, d.Position}) }

// AddBundle marks a whole bundle as seen. It returns ErrSequence for a sequence
// above [MaxSequence]. The bundle must have been applied as a whole: whatever more of
// it arrives later is taken for known.
func (c *Context) AddBundle(o Origin, sequence uint64) error {
	first, err := At(sequence, 0)
	if err != nil {
		return err
	}
	c.add(o, span{first, first + MaxOperations - 1})
	return nil
}

func (c *Context) add(o Origin, s span) {
	i, ok := slices.BinarySearchFunc(c.entries, o, byOrigin)
	if !ok {
		c.entries = slices.Insert(c.entries, i, entry{origin: o})
	}
	c.entries[i].seen = c.entries[i].seen.union(ranges{s})
}

// Merge adds all that d has seen. d is not changed.
func (c *Context) Merge(d *Context) {
	a, b := c.entries, d.entries
	out := make([]entry, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch order := a[0].origin.Compare(b[0].origin); {
		case order < 0:
			out, a = append(out, a[0]), a[1:]
		case order > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, entry{origin: a[0].origin, seen: a[0].seen.union(b[0].seen)})
			a, b = a[1:], b[1:]
		}
	}
	c.entries = append(append(out, a...), b...)
}

// Next returns the sequence of o's first bundle that has not been seen as a
// whole, which is [MaxSequence]+1 when there is none.
func (c *Context) Next(o Origin) uint64 {
	next, full := c.of(o).contiguous()
	if full {
		return MaxSequence + 1
	}
	return next.Sequence()
}

// Origins yields the origins of which anything has been seen, in ascending order.
func (c *Context) Origins() iter.Seq[Origin] {
	return func(yield func(Origin) bool) {
		for _, e := range c.entries {
			if !yield(e.origin) {
				return
			}
		}
	}
}

// Fragments returns the number of ranges that are kept: one for each origin
// seen without gaps, and one for each piece of a cloud. A driver bounds it, by
// holding back what is too far out of order.
func (c *Context) Fragments() int {
	n := 0
	for _, e := range c.entries {
		n += len(e.seen)
	}
	return n
}

// Equal reports whether both have seen the same dots.
func (c *Context) Equal(d *Context) bool {
	return slices.EqualFunc(c.entries, d.entries, func(a, b entry) bool {
		return a.origin == b.origin && slices.Equal(a.seen, b.seen)
	})
}

// Clone returns a context of its own with the same dots.
func (c *Context) Clone() Context { return Context{entries: slices.Clone(c.entries)} }
