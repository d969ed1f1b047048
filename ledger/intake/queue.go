package intake

import (
	"cmp"
	"slices"
	"time"

	"github.com/decube/decube/internal/sig"
)

// queue is what came through one origin.
type queue struct {
	validator sig.PublicKey
	bytes     int // of all its places
	ready     int // transactions in the list that came through it first

	head, tail *place // those in no block in flight, by number
	credit     int    // bytes that the origin may spend, see Next

	// The front's clock: head is counted from an instant on, unless it is paused.
	timed  *place
	at     time.Duration
	paused bool

	look    int           // how many from the head on are judged at a time
	validAt time.Duration // when a front was last found valid, never if one was found invalid since
}

// place is where a transaction is in the queue of one origin.
type place struct {
	it     *item
	q      *queue
	number uint64        // places with lower numbers come first
	waited time.Duration // as the front, until its clock last stopped
	linked bool

	prev, next *place
	other      *place // the same transaction's in another queue
}

// cameThrough reports whether a transaction has a place in a queue.
func (it *item) cameThrough(q *queue) bool { return it.placeOf(q) != nil }

func (it *item) placeOf(q *queue) *place {
	pl := it.places
	for pl != nil && pl.q != q {
		pl = pl.other
	}
	return pl
}

// addPlace puts a transaction at the end of a queue.
func (p *Pool) addPlace(now time.Duration, it *item, q *queue) {
	pl := p.freePlaces
	if pl == nil {
		pl = new(place)
	} else {
		p.freePlaces = pl.next
	}
	p.number++
	*pl = place{it: it, q: q, number: p.number}
	last := &it.places
	for *last != nil {
		last = &(*last).other
	}
	*last = pl
	q.bytes += it.cost
	p.bytes += it.cost
	if it.blocks == 0 {
		q.insert(pl, q.tail, nil)
		q.retime(now)
	}
}

// removePlace takes a transaction out of a queue.
func (p *Pool) removePlace(now time.Duration, it *item, pl *place) {
	q, first, linked := pl.q, it.places == pl, pl.linked
	if linked {
		q.unlink(pl)
		q.retime(now)
	}
	at := &it.places
	for *at != pl {
		at = &(*at).other
	}
	*at = pl.other
	if first && linked && it.places != nil {
		it.places.q.ready++ // it counts once, for the queue that is the first now
	}
	q.bytes -= it.cost
	p.bytes -= it.cost
	*pl = place{next: p.freePlaces}
	p.freePlaces = pl
}

// unlink takes a transaction that is in a block in flight out of the lists.
func (it *item) unlink(now time.Duration) {
	for pl := it.places; pl != nil; pl = pl.other {
		pl.q.unlink(pl)
		pl.q.retime(now)
	}
}

// link puts transactions that are in no block in flight any more back to where they
// were.
func (p *Pool) link(now time.Duration, items []*item) {
	if len(items) == 0 {
		return
	}
	back := make(map[*queue][]*place, len(p.queues))
	for _, it := range items {
		for pl := it.places; pl != nil; pl = pl.other {
			back[pl.q] = append(back[pl.q], pl)
		}
	}
	for _, q := range p.queues {
		q.putBack(back[q])
		q.retime(now)
	}
}

// putBack inserts places by their numbers. They were among the first as a rule, and in
// sorted order one walk finds all of their neighbours.
func (q *queue) putBack(places []*place) {
	slices.SortFunc(places, func(a, b *place) int { return cmp.Compare(a.number, b.number) })
	at := q.head
	for _, pl := range places {
		for at != nil && at.number < pl.number {
			at = at.next
		}
		if at == nil {
			q.insert(pl, q.tail, nil)
		} else {
			q.insert(pl, at.prev, at)
		}
	}
}

// rotate moves a place to the end, where it begins to be of no age again.
func (p *Pool) rotate(now time.Duration, pl *place) {
	p.number++
	pl.q.unlink(pl)
	pl.q.retime(now)
	pl.number, pl.waited = p.number, 0
	pl.q.insert(pl, pl.q.tail, nil)
	pl.q.retime(now)
}

// insert puts a place between two neighbours, nil for none.
func (q *queue) insert(pl, prev, next *place) {
	pl.prev, pl.next, pl.linked = prev, next, true
	if prev == nil {
		q.head = pl
	} else {
		prev.next = pl
	}
	if next == nil {
		q.tail = pl
	} else {
		next.prev = pl
	}
	if pl == pl.it.places {
		q.ready++
	}
}

// unlink takes a place out of the list.
func (q *queue) unlink(pl *place) {
	if pl.prev == nil {
		q.head = pl.next
	} else {
		pl.prev.next = pl.next
	}
	if pl.next == nil {
		q.tail = pl.prev
	} else {
		pl.next.prev = pl.prev
	}
	pl.prev, pl.next, pl.linked = nil, nil, false
	if pl == pl.it.places {
		q.ready--
	}
}

// retime stops the clock of what was the front, and starts that of what is. It is called
// whenever the head changes, or a block in flight may have its key.
func (q *queue) retime(now time.Duration) {
	paused := q.head != nil && q.head.it.race != nil && q.head.it.race.inFlight > 0
	if q.timed == q.head && q.paused == paused {
		return
	}
	if q.timed != nil && !q.paused {
		q.timed.waited += now - q.at
	}
	q.timed, q.at, q.paused = q.head, now, paused
}

// waited returns for how long the front has been the front, without the times in which
// something in flight could have made it invalid.
func (q *queue) waited(now time.Duration) time.Duration { return q.timed.waited + now - q.at }
