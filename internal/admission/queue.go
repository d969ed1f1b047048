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

// Pace bounds what is sent at a time. The zero value is not valid; start from [PaceFor].
type Pace struct {
	Step  int64         // bytes of the longest step
	Under int           // steps under way, unless they are all of one peer
	Hold  time.Duration // a step that takes longer does not count as under way
	Rate  int64         // bytes a second of all together, or Unbounded; a step may be saved up

	Visits int           // prefixes that are visited at a time
	Visit  int64         // bytes that one is sent in a visit, times its weight
	Stay   time.Duration // that a visit lasts at most, times the weight
	Idle   time.Duration // of that, with nothing to send
}

// PaceFor returns the pace of a machine of so many cores: one visit a core, of 2 MiB, in two
// steps at a time, of 256 KiB. At a low rate both are smaller, so that bytes flow rather than
// come in gusts.
func PaceFor(cores int, rate int64) Pace {
	cores = max(1, cores)
	step := min(256<<10, max(8<<10, rate/8))
	return Pace{
		Step: step, Under: 2 * cores, Hold: 5 * time.Millisecond, Rate: rate,
		Visits: cores, Visit: min(2<<20, max(step, rate/16)), Stay: 10 * time.Millisecond, Idle: 2 * time.Millisecond,
	}
}

// Validate returns ErrInvalid unless something may be sent.
func (p Pace) Validate() error {
	switch {
	case p.Step <= 0 || p.Under <= 0 || p.Hold <= 0 || p.Rate <= 0 || p.Rate > Unbounded:
		return fmt.Errorf("%w: steps of %d bytes, %d under way for %v, %d bytes a second: want more than 0", ErrInvalid, p.Step, p.Under, p.Hold, p.Rate)
	case p.Visits <= 0 || p.Visits > p.Under || p.Visit < p.Step || p.Stay <= 0 || p.Idle < 0:
		return fmt.Errorf("%w: %d visits of %d bytes in %v, %v of it idle: want one at least, no more than steps under way, and a step in each", ErrInvalid, p.Visits, p.Visit, p.Stay, p.Idle)
	}
	return nil
}

// time returns how long it takes to send bytes at the rate.
func (p Pace) time(bytes int64) time.Duration {
	return time.Duration(float64(bytes) / float64(p.Rate) * float64(time.Second))
}

// Seat is one stream's in a queue, which no other gets any more. 0 is none.
type Seat uint64

// Queue says whose turn it is to be sent something. Prefixes are visited one after the other,
// as many at a time as there are cores, and none is sent anything but while it is visited.
// What a prefix is sent is divided among its addresses, their peers, and their streams by
// deficit round robin: in each round as many steps as their weight. A stranger's weight is
// 1, a known peer's 2, that of others 4, and that of a group the largest in it.
//
// A visit is over when the prefix was sent a certain number of bytes, or after a certain
// time, or when it has nothing more to send. Of who has taken what it was sent quickly the
// next step is waited for, for an instant in which nobody else has a turn, as disk schedulers
// do. A transfer is a closed loop: request, read, send, receive, store, request. One whose
// every part waits behind what a crowd has been sent in the meantime, on the processor, would
// be given its share of the turns and could not use it, since it has nothing to send most of
// the time. When it is left alone for a moment it goes as fast as it can.
//
// A stream asks for one step at a time. Steps under way are bounded because of what they cost
// this machine. One that takes long waits for the other side: it is not counted any more, nor
// are the next ones of its stream until one does not, and a visit does not wait for it. Else
// few who do not read would have all turns.
//
// Each call takes a time that does not depend on how many wait. Instants must not decrease.
// It is not safe for concurrent use.
type Queue struct {
	pace   Pace
	root   *turn
	seats  map[Seat]*turn
	visits []*turn // prefixes that are visited
	going  list    // steps under way that count, the oldest first
	active int     // peers who wait or are being sent something
	free   time.Time
	last   Seat
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

	// Those below that wait are in a list, but for prefixes that are visited. Of others the
	// first one has begun its round: it has been given what its weight is worth, and goes to
	// the end when that has been sent.
	queue         list
	before, after *turn // in a list
	begun         bool
	credit        int64

	visit // of a prefix

	// Of a stream.
	seat   Seat
	asked  int64     // bytes of its step
	since  time.Time // which is under way
	counts bool      // as such
	slow   bool      // the last one took long
}

// list is a list of turns, each of which is in no other.
type list struct {
	first, last *turn
	n           int
}

// NewQueue returns an empty queue, and ErrInvalid for a pace that is not valid.
func NewQueue(p Pace) (*Queue, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &Queue{pace: p, root: &turn{}, seats: map[Seat]*turn{}}, nil
}

// Join returns a seat for a stream, which is to leave it.
func (q *Queue) Join(who Holder) Seat {
	q.last++
	at := q.root
	path := who.path()
	for level, k := range path {
		at = at.child(k)
		at.peer = level == len(path)-1
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
	delete(q.seats, s)
	weight := t.weight()
	for at := t; at != nil; at = at.above {
		at.seats--
		at.weights[weight]--
		if at.seats == 0 && at.seat == 0 && at.above != nil {
			q.forget(at)
			delete(at.above.below, at.key)
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
	t.asked = max(1, min(n, q.pace.Step))
	q.wait(t, 1)
}

// Next returns the stream whose turn it is, of which Done is to be told when it has sent
// its step; to be called until there is none. Without one, next is when there may be, or
// zero if that is after some Ask, Done or Leave.
func (q *Queue) Next(now time.Time) (s Seat, next time.Time) {
	for q.going.n > 0 && now.Sub(q.going.first.since) >= q.pace.Hold {
		q.uncount(q.going.first)
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
	case q.free.After(now):
		return 0, q.free
	}
	t := q.visitor(now)
	if t == nil {
		return 0, q.again()
	}
	for t.seat == 0 {
		t = t.next(q.pace.Step)
	}
	q.grant(t, now)
	return t.seat, time.Time{}
}

// grant has a stream send its step.
func (q *Queue) grant(t *turn, now time.Time) {
	q.wait(t, -1)
	q.send(t, 1)
	prefix, cost := t.prefix(), max(t.asked, q.pace.Step/leastCost)
	prefix.left -= cost
	prefix.took += t.asked
	if q.pace.Rate < Unbounded { // what that takes is not a part of the visit
		took := q.pace.time(t.asked)
		q.free = q.free.Add(took)
		prefix.until = prefix.until.Add(took)
	}
	t.since = now
	if !t.slow {
		t.counts = true
		prefix.counted++
		q.going.push(t)
	}
	for at := t; at != prefix; at = at.above {
		at.credit -= cost
		if at.waiting > 0 && at.credit <= 0 { // its round is over
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
	t.slow = now.Sub(t.since) >= q.pace.Hold
	if !t.slow {
		t.prefix().quick = now
	}
	q.uncount(t)
	q.send(t, -1)
}

// uncount has a step under way not count any more.
func (q *Queue) uncount(t *turn) {
	if t.counts {
		t.counts = false
		t.prefix().counted--
		q.going.remove(t)
	}
}

// next returns who of those below has its turn.
func (t *turn) next(step int64) *turn {
	c := t.queue.first
	if !c.begun { // what it owes is less than a step, and it is given at least one
		c.begun = true
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
		case at.above == nil, at.visited: // those are in no list
		case n > 0 && at.waiting == 1:
			at.above.list(at)
		case n < 0 && at.waiting == 0:
			at.above.queue.remove(at)
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

// list puts one that waits to the end, unless it comes back in its round and may still send:
// then it goes on at once.
func (t *turn) list(c *turn) {
	c.begun = c.begun && c.credit > 0
	if first := t.queue.first; c.begun && first != nil {
		c.after, first.before = first, c
		t.queue.first = c
		t.queue.n++
		return
	}
	t.queue.push(c)
}

// push puts one to the end.
func (l *list) push(c *turn) {
	l.n++
	if l.last == nil {
		l.first, l.last = c, c
		return
	}
	c.before, l.last.after = l.last, c
	l.last = c
}

func (l *list) remove(c *turn) {
	l.n--
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
