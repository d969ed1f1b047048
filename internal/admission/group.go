package admission

import (
	"net/netip"
	"time"
)

// key names a group within the one above it.
type key struct {
	prefix netip.Prefix
	name   string
}

// node is a stream with a place, or a group of them: a band is made of prefixes, those of
// addresses, those of peers, those of streams. Each change of a stream is carried up
// through four heaps, so that the most of everything is found by going down through them.
type node struct {
	key    key
	above  *node
	below  map[key]*node  // of groups of groups
	order  [measures]heap // of what is below, by places and by bytes
	held   [measures]int64
	at     [ranks]int // where it is in the heaps
	moved  time.Time  // a stream's other side did something last; a group's that of who goes first
	seq    uint64     // which came first
	stream *stream    // nil for a group
	began  time.Time  // of a prefix, since when it holds places: longer ago if it did before
}

// stream is what is known of a stream.
type stream struct {
	place  Place
	who    Holder
	ending bool // it has lost its place

	stage Stage
	since time.Time // the stage began

	// Of the present window of the least rate, how long it has lasted while writing, and
	// how much was taken in it.
	spent time.Duration
	taken int64

	hard, soft time.Time // zero when no clock runs

	began time.Time // that of its prefix
	rests bool      // it waits for the other side to ask
}

func newGroup(above *node, k key, seq uint64) *node {
	n := &node{key: k, above: above, seq: seq}
	for m := range measures {
		n.order[m].by = m
	}
	return n
}

// before reports whether a node comes before another one in a heap.
func (n *node) before(o *node, by rank) bool {
	switch by {
	case byPlaces, byBytes:
		if n.held[by] != o.held[by] {
			return n.held[by] > o.held[by]
		}
		if !n.moved.Equal(o.moved) {
			return n.moved.Before(o.moved)
		}
	case byHeld:
		if !n.stream.began.Equal(o.stream.began) {
			return n.stream.began.Before(o.stream.began)
		}
	case byHard:
		if !n.stream.hard.Equal(o.stream.hard) {
			return n.stream.hard.Before(o.stream.hard)
		}
	default:
		if !n.stream.soft.Equal(o.stream.soft) {
			return n.stream.soft.Before(o.stream.soft)
		}
	}
	return n.seq < o.seq
}

// prefix returns the prefix that a stream is in.
func (n *node) prefix() *node {
	return n.above.above.above
}

// attach puts a stream below a band, into groups that are made if there are none.
func (n *node) attach(leaf *node) {
	at := n
	for _, k := range leaf.stream.who.path() {
		next := at.below[k]
		if next == nil {
			if at.below == nil {
				at.below = map[key]*node{}
			}
			next = newGroup(at, k, leaf.seq)
			at.below[k] = next
			for m := range next.order {
				at.order[m].add(next)
			}
		}
		at = next
	}
	leaf.above = at
	for m := range at.order {
		at.order[m].add(leaf)
	}
	at.count(leaf.held, 1)
}

// detach takes a stream out of its groups, and those that are empty out of theirs.
func (n *node) detach() {
	at := n.above
	for m := range at.order {
		at.order[m].remove(n)
	}
	at.count(n.held, -1)
	for n.above = nil; at.above != nil && at.held[byPlaces] == 0; at = at.above {
		for m := range at.order {
			at.above.order[m].remove(at)
		}
		delete(at.above.below, at.key)
	}
}

// count adds what a group has got, or takes off what it has lost, all the way up.
func (n *node) count(held [measures]int64, sign int64) {
	for at := n; at != nil; at = at.above {
		for m := range at.held {
			at.held[m] += sign * held[m]
		}
		at.settle()
	}
}

// settle puts a group where it belongs after something of it has changed.
func (n *node) settle() {
	if first := n.order[byPlaces].first(); first != nil {
		n.moved = first.moved
	}
	if n.above != nil {
		n.above.fix(n)
	}
}

// fix puts a node where it belongs within its group.
func (n *node) fix(below *node) {
	for m := range n.order {
		n.order[m].fix(below)
	}
}

// most returns the stream that is lost first of all below a group, nil if there is none.
func (n *node) most(by rank) *node {
	for n != nil && n.stream == nil {
		n = n.order[by].first()
	}
	return n
}

// loser returns the stream below a group that is to make room for more of a holder, of
// whom that group is one: the first of whoever holds more than the holder would with it.
// It is nil if nobody does. The path is that of the holder below the group.
func (n *node) loser(by rank, who Holder, path []key, more int64) *node {
	for _, k := range path {
		own := n.below[k]
		would := more
		if own != nil {
			would += own.held[by]
		}
		if most := n.order[by].firstBut(own); most != nil {
			first := most.most(by)
			preferred := who.Class == Known && first.stream.who.Class == Stranger
			if most.held[by] > would || preferred && most.held[by] == would {
				return first
			}
		}
		if own == nil {
			return nil
		}
		n = own
	}
	return nil
}

// group returns the group of a path, nil if there is none.
func (n *node) group(path ...key) *node {
	for _, k := range path {
		if n = n.below[k]; n == nil {
			return nil
		}
	}
	return n
}
