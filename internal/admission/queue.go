package admission

import (
	"fmt"
	"time"
)

// Unbounded is the rate of a queue that sends as fast as it can.
const Unbounded int64 = 1 << 62

// leastCost is what a step counts for at least, as a part of the longest: what it costs to
// take turns is paid by who wants many small ones.
const leastCost = 64

// quickSteps is how many steps in a row a stream has to take quickly, after one that took
// long, until they count as under way.
const quickSteps = 8

// Pace bounds what is sent at a time. The zero value is not valid; start from [PaceFor].
type Pace struct {
	Step  int64         // bytes of the longest step
	Under int           // steps under way, unless they are all of one peer
	Hold  time.Duration // a step that takes longer does not count as under way
	Rate  int64         // bytes a second of all together, or Unbounded; a step may be saved up
	// Linger is how long the place of a step is kept, when it was sent, for who may send more
	// in this round, while others wait; 0 is not at all.
	Linger time.Duration
	// Least has every second step be one beside the rounds, of the prefix that was sent least
	// lately, so that who comes does not wait for a round of all others, however many they are.
	Least bool
}

// PaceFor returns the pace of a machine of so many cores: two steps a core, of 256 KiB.
func PaceFor(cores int, rate int64) Pace {
	return Pace{Step: 256 << 10, Under: 2 * max(1, cores), Hold: 20 * time.Millisecond, Rate: rate}
}

// Validate returns ErrInvalid unless something may be sent.
func (p Pace) Validate() error {
	if p.Step <= 0 || p.Under <= 0 || p.Hold <= 0 || p.Rate <= 0 || p.Rate > Unbounded || p.Linger < 0 {
		return fmt.Errorf("%w: steps of %d bytes, %d under way for %v, %d bytes a second, lingering for %v: want more than 0", ErrInvalid, p.Step, p.Under, p.Hold, p.Rate, p.Linger)
	}
	return nil
}

// time returns how long it takes to send bytes at the rate.
func (p Pace) time(bytes int64) time.Duration {
	return time.Duration(float64(bytes) / float64(p.Rate) * float64(time.Second))
}

// Seat is one stream's in a queue, which no other gets any more. 0 is none.
type Seat uint64

// Queue says whose turn it is to be sent something, by deficit round robin: in each round
// a prefix is sent as many steps as its weight, which is divided in the same way among its
// addresses, their peers, and their streams. A stranger's weight is 1, a known peer's 2,
// that of others 4, and that of a group the largest in it. Who has waited with a step to
// send has to wait for at most one round of the others.
//
// A stream asks for one step at a time, and while it is sent others have their turns. What
// it may still send of its round is kept for when it asks again; where steps are small, one
// of another would come between any two, whatever the weights, so that its place among those
// under way may be kept too, for a moment: see [Pace].Linger.
//
// Who is light, since its prefix was sent at most half of what the prefix with most was lately,
// whatever its weight, has twice the weight until that is made up for, and may send without a
// turn: see [Queue.Pass]. Few who ask for all there is, all the time, are to leave more than
// an equal part to who comes for a moment. What a prefix was sent lately is remembered when it
// leaves.
//
// Steps under way are bounded because of what they cost this machine. One that takes long
// waits for the other side: it is not counted any more, nor are the next ones of its stream
// until some in a row do not. Else few who do not read would have all turns, or who reads now
// and then a turn each time.
//
// Each call takes a time that does not depend on how many wait, or with [Pace].Least grows with
// its logarithm. Instants must not decrease.
// It is not safe for concurrent use.
type Queue struct {
	pace   Pace
	root   *turn
	seats  map[Seat]*turn
	going  list // steps under way that count, the oldest first
	idle   list // places that are kept for who may come back, the oldest first
	under  int  // how many both are
	active int  // peers who wait or are being sent something
	free   time.Time
	last   Seat
	most   int64         // that any prefix has used; not less than any of them
	halved time.Time     // when that was last halved
	past   map[key]int64 // what those have used that have left

	waiters waiters // prefixes that wait, where the pace has Least
	beside  bool    // the last step was one beside the rounds, or could have been
}

// turn is a stream, or a group of them, that has turns.
type turn struct {
	key   key
	above *turn
	below map[key]*turn
	peer  bool

	seats          int    // streams in it
	weights        [5]int // of them, by weight
	waiting, under int    // steps in it

	// Those below that wait are in a list. The first one is being visited: it has been
	// given what its weight is worth, and goes to the end when that has been sent.
	queue         list
	before, after *turn // in a list
	visited       bool
	credit        int64
	used          int64 // what a prefix's steps cost lately
	place         int   // of a prefix among those that wait, from 1 on
	stays         bool  // a prefix is in the list though it does not wait: its step went beside

	// Of a stream.
	seat    Seat
	asked   int64     // bytes of its step
	since   time.Time // which is under way, or whose place is kept
	counted bool      // as such
	kept    bool      // its place is
	slow    int       // how many have to be quick until they count: one took long
}

// list is a list of turns, each of which is in no other.
type list struct{ first, last *turn }

// NewQueue returns an empty queue, and ErrInvalid for a pace that is not valid.
func NewQueue(p Pace) (*Queue, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &Queue{pace: p, root: &turn{}, seats: map[Seat]*turn{}, past: map[key]int64{}}, nil
}

// Join returns a seat for a stream, which is to leave it.
func (q *Queue) Join(who Holder) Seat {
	q.last++
	at := q.root
	path := who.path()
	for level, k := range path {
		at = at.child(k)
		at.peer = level == len(path)-1
		if level == 0 && at.seats == 0 {
			q.recall(at)
		}
	}
	s := &turn{above: at, seat: q.last}
	q.seats[q.last] = s
	for at := s; at != nil; at = at.above {
		at.seats++
		at.weights[who.Class.weight()]++
	}
	return q.last
}

// weight is how much of what is sent a class gets for each byte that a stranger gets.
func (c Class) weight() int {
	switch c {
	case Stranger:
		return 1
	case Known:
		return 2
	default:
		return 4
	}
}

func (t *turn) child(k key) *turn {
	c := t.below[k]
	if c == nil {
		if t.below == nil {
			t.below = map[key]*turn{}
		}
		c = &turn{key: k, above: t}
		t.below[k] = c
	}
	return c
}

// Leave gives a seat back, with the step that it has asked for or is being sent.
func (q *Queue) Leave(now time.Time, s Seat) {
	t := q.seats[s]
	if t == nil {
		return
	}
	if t.waiting > 0 {
		q.wait(t, -1)
	}
	q.Done(now, s)
	q.letGo(t)
	delete(q.seats, s)
	weight := t.weight()
	for at := t; at != nil; at = at.above {
		at.seats--
		at.weights[weight]--
		if at.seats == 0 && at.seat == 0 && at.above != nil {
			delete(at.above.below, at.key)
			if at.stays {
				at.above.queue.remove(at)
			}
			if at.above == q.root {
				q.remember(at)
			}
		}
	}
}

// Ask is told that a stream waits with a step of so many bytes, at least 1; one above the
// longest counts as that. It is ignored of a stream that waits or is being sent something.
func (q *Queue) Ask(s Seat, n int64) {
	t := q.seats[s]
	if t == nil || t.waiting+t.under > 0 {
		return
	}
	q.letGo(t) // as the first in line it has it again at once
	t.asked = max(1, min(n, q.pace.Step))
	q.wait(t, 1)
}

// Next returns the stream whose turn it is, of which Done is to be told when it has sent
// its step; to be called until there is none. Without one, next is when there may be, or
// zero if that is after some Ask, Done or Leave.
func (q *Queue) Next(now time.Time) (s Seat, next time.Time) {
	for q.going.first != nil && now.Sub(q.going.first.since) >= q.pace.Hold {
		q.uncount(q.going.first)
	}
	for q.idle.first != nil && now.Sub(q.idle.first.since) >= q.pace.Linger {
		q.letGo(q.idle.first)
	}
	// Who comes late for its turn, because this machine is busy, is made up for.
	if saved := now.Add(-q.pace.time(q.pace.Step)); q.free.IsZero() {
		q.free = now
	} else if q.free.Before(saved) {
		q.free = saved
	}
	switch {
	case q.root.waiting == 0:
		return 0, time.Time{}
	case q.under >= q.pace.Under && (q.active > 1 || q.idle.first != nil):
		return 0, q.opening()
	case q.free.After(now):
		return 0, q.free
	}
	q.age(now)
	least := q.least()
	t := least
	if t == nil {
		t = q.root.visit(q.pace.Step, q.lightness)
	}
	for t.seat == 0 {
		t = t.visit(q.pace.Step, nil)
	}
	if q.pace.Rate < Unbounded {
		q.free = q.free.Add(q.pace.time(t.asked))
	}
	q.grant(t, now, least)
	return t.seat, time.Time{}
}

// grant has a stream send its step, which is one beside the rounds of a prefix if there is one.
func (q *Queue) grant(t *turn, now time.Time, beside *turn) {
	if beside != nil && beside.waiting == 1 { // it is not to lose its turn in the round
		beside.stays = true
	}
	q.wait(t, -1)
	q.send(t, 1)
	t.since = now
	if t.slow == 0 {
		t.counted = true
		q.under++
		q.going.push(t)
	}
	q.use(t, t.asked)
	for at := t; at.above != nil && at != beside; at = at.above {
		at.credit -= q.cost(t.asked)
		if at.waiting > 0 && at.credit <= 0 { // its visit is over
			at.above.queue.remove(at)
			at.above.list(at)
		}
	}
}

// Done is told that the step of a stream was sent, or never will be.
func (q *Queue) Done(now time.Time, s Seat) {
	t := q.seats[s]
	if t == nil || t.under == 0 {
		return
	}
	if t.slow = max(0, t.slow-1); now.Sub(t.since) >= q.pace.Hold {
		t.slow = quickSteps
	}
	if t.counted && q.pace.Linger > 0 && q.root.waiting > 0 && t.mayGoOn() {
		q.going.remove(t)
		t.kept, t.since = true, now
		q.idle.push(t)
	} else {
		q.uncount(t)
	}
	q.send(t, -1)
}

// mayGoOn reports whether a stream that does not wait may send more before it is the turn of
// others who do: a round is over where there is somebody to have the next turn.
func (t *turn) mayGoOn() bool {
	for ; t.above != nil; t = t.above {
		if t.credit <= 0 && t.above.waiting > 0 {
			return false
		}
	}
	return true
}

// letGo gives the place of a step to others that was kept for a stream, if one was.
func (q *Queue) letGo(t *turn) {
	if t.kept {
		t.kept, t.counted = false, false
		q.under--
		q.idle.remove(t)
	}
}

// opening returns when a place becomes free of itself.
func (q *Queue) opening() time.Time {
	var at time.Time
	if t := q.going.first; t != nil {
		at = t.since.Add(q.pace.Hold)
	}
	if t := q.idle.first; t != nil {
		if soon := t.since.Add(q.pace.Linger); at.IsZero() || soon.Before(at) {
			at = soon
		}
	}
	return at
}

// uncount has a step under way not count any more.
func (q *Queue) uncount(t *turn) {
	if t.counted {
		t.counted = false
		q.under--
		q.going.remove(t)
	}
}

// visit returns who of those below has its turn. Favour is by how much its weight is larger,
// nil for nobody's.
func (t *turn) visit(step int64, favour func(*turn) int64) *turn {
	for t.queue.first.waiting == 0 { // it was not back in time
		t.queue.first.stays = false
		t.queue.remove(t.queue.first)
	}
	c := t.queue.first
	if !c.visited { // what it owes is less than a step, and it is given at least one
		c.visited = true
		if favour != nil {
			step *= favour(c)
		}
		c.credit += step * int64(c.weight())
	}
	return c
}

// weight returns the largest weight of the streams in it.
func (t *turn) weight() int {
	for w := len(t.weights) - 1; w > 1; w-- {
		if t.weights[w] > 0 {
			return w
		}
	}
	return 1
}

// wait counts one step more, or less, that waits.
func (q *Queue) wait(t *turn, n int) {
	for at := t; at != nil; at = at.above {
		q.change(at, &at.waiting, n)
		switch {
		case at.above == nil:
		case n > 0 && at.waiting == 1:
			if !at.stays {
				at.above.list(at)
			}
			at.stays = false
			if at.above == q.root {
				q.await(at, true)
			}
		case n < 0 && at.waiting == 0:
			if !at.stays {
				at.above.queue.remove(at)
			}
			if at.above == q.root {
				q.await(at, false)
			}
		}
	}
}

// send counts one step more, or less, that is under way.
func (q *Queue) send(t *turn, n int) {
	for at := t; at != nil; at = at.above {
		q.change(at, &at.under, n)
	}
}

// change changes a count of a turn, and that of the peers who are active.
func (q *Queue) change(t *turn, count *int, n int) {
	was := t.waiting+t.under > 0
	*count += n
	if is := t.waiting+t.under > 0; t.peer && was != is {
		if is {
			q.active++
		} else {
			q.active--
		}
	}
}

// list puts one that waits to the end, unless it comes back while it was being visited and
// may still send: then it goes on at once.
func (t *turn) list(c *turn) {
	c.visited = c.visited && c.credit > 0
	if first := t.queue.first; c.visited && first != nil {
		c.after, first.before = first, c
		t.queue.first = c
		return
	}
	t.queue.push(c)
}

// push puts one to the end.
func (l *list) push(c *turn) {
	if l.last == nil {
		l.first, l.last = c, c
		return
	}
	c.before, l.last.after = l.last, c
	l.last = c
}

func (l *list) remove(c *turn) {
	if c.before == nil {
		l.first = c.after
	} else {
		c.before.after = c.after
	}
	if c.after == nil {
		l.last = c.before
	} else {
		c.after.before = c.before
	}
	c.before, c.after = nil, nil
}

// Contended reports whether more than one peer waits or is being sent something.
func (q *Queue) Contended() bool { return q.active > 1 }
