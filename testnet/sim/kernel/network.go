package kernel

import "math/rand/v2"

// Conditions are how frames travel on a link. The zero value is perfect.
type Conditions struct {
	Min, Max  Time    // delay, evenly distributed
	Tail      float64 // share of frames that take up to TailTimes as long
	TailTimes int
	Drop      float64 // share that is lost
	Duplicate float64 // share that arrives twice

	// Rate is how many bytes a second go through a link, one frame after the other,
	// before their delay; 0 is as many as there are.
	Rate int64
	// Backlog is how many bytes may wait for their turn on a link with a Rate; a frame
	// beyond is lost. 0 is as many as there are.
	Backlog int64
	// InOrder has the frames of a link arrive in the order in which they were sent, as
	// on a stream: one that is late holds up those behind it.
	InOrder bool
	// Severs has a cut take what is on the way, as the end of a connection does. Without
	// it, a cut concerns only what is sent later.
	Severs bool
}

// Traffic counts frames and bytes.
type Traffic struct {
	Sent, Dropped           int // frames; those that arrive twice count once
	SentBytes, DroppedBytes int64
}

// Network carries frames between nodes numbered from 0. Each direction between two
// nodes is a link of its own.
type Network[T any] struct {
	scheduler  *Scheduler
	rnd        *rand.Rand
	nodes      int
	conditions Conditions
	links      []link // [from*nodes+to]
	deliver    func(from, to int, frame T)
	traffic    Traffic
}

type link struct {
	cut      int         // how many faults cut it
	severed  int         // how often it was cut
	own      *Conditions // nil: those of the network
	free     Time        // when the last frame has left
	arrivals Time        // of the last frame, for InOrder
}

// NewNetwork returns a network whose accidents are drawn from rnd. It calls deliver for
// each frame that arrives; whether the receiver is running is for deliver to look at.
func NewNetwork[T any](s *Scheduler, rnd *rand.Rand, nodes int, c Conditions, deliver func(from, to int, frame T)) *Network[T] {
	return &Network[T]{scheduler: s, rnd: rnd, nodes: nodes, conditions: c, links: make([]link, nodes*nodes), deliver: deliver}
}

func (n *Network[T]) link(from, to int) *link { return &n.links[from*n.nodes+to] }

// SetConditions changes how frames travel that are sent from now on, where a link has
// no conditions of its own.
func (n *Network[T]) SetConditions(c Conditions) { n.conditions = c }

// SetLink gives one direction conditions of its own; nil takes them away.
func (n *Network[T]) SetLink(from, to int, c *Conditions) { n.link(from, to).own = c }

// Cut interrupts one direction. Cuts add up: each wants a Mend of its own.
func (n *Network[T]) Cut(from, to int) {
	l := n.link(from, to)
	l.cut++
	l.severed++
}

// Mend takes one cut back. A direction that MendAll has mended meanwhile stays so.
func (n *Network[T]) Mend(from, to int) {
	l := n.link(from, to)
	l.cut = max(0, l.cut-1)
}

// MendAll takes all cuts back.
func (n *Network[T]) MendAll() {
	for i := range n.links {
		n.links[i].cut = 0
	}
}

// Connected reports whether nothing cuts a direction.
func (n *Network[T]) Connected(from, to int) bool { return n.link(from, to).cut == 0 }

// Traffic returns what was sent and lost so far. Frames that a cut took on their way
// count as lost then.
func (n *Network[T]) Traffic() Traffic { return n.traffic }

// Send puts a frame of some bytes on its way. The sender does not learn what becomes
// of it.
func (n *Network[T]) Send(from, to int, frame T, size int) {
	l := n.link(from, to)
	c := &n.conditions
	if l.own != nil {
		c = l.own
	}
	n.traffic.Sent++
	n.traffic.SentBytes += int64(size)
	// Chance is asked only where there is something to decide: conditions without a
	// fault draw what they drew before the fault was there to be had.
	if l.cut > 0 || c.Drop > 0 && n.rnd.Float64() < c.Drop {
		n.lose(size)
		return
	}
	wait, ok := n.transmit(l, c, size)
	if !ok {
		n.lose(size)
		return
	}
	copies := 1
	if c.Duplicate > 0 && n.rnd.Float64() < c.Duplicate {
		copies = 2
	}
	for range copies {
		d := Between(n.rnd, c.Min, c.Max)
		if c.Tail > 0 && n.rnd.Float64() < c.Tail {
			d = Between(n.rnd, d, d*Time(c.TailTimes))
		}
		at := n.scheduler.Now() + wait + d
		if c.InOrder {
			at = max(at, l.arrivals)
		}
		l.arrivals = max(l.arrivals, at)
		n.arrive(l, c.Severs, at, func() { n.deliver(from, to, frame) }, size)
	}
}

// transmit returns how long it is until a frame has left its sender, or false if too
// much is waiting already.
func (n *Network[T]) transmit(l *link, c *Conditions, size int) (wait Time, ok bool) {
	if c.Rate <= 0 {
		return 0, true
	}
	now := n.scheduler.Now()
	waiting := max(0, l.free-now) // until the last frame before has left
	if c.Backlog > 0 && int64(waiting)*c.Rate/int64(Second)+int64(size) > c.Backlog {
		return 0, false
	}
	// A frame takes at least its share of a microsecond, rounded up, so that no number
	// of small frames gets through for nothing.
	takes := Time((int64(size)*int64(Second) + c.Rate - 1) / c.Rate)
	l.free = now + waiting + takes
	return waiting + takes, true
}

// arrive delivers a frame at a time, unless a cut takes it before.
func (n *Network[T]) arrive(l *link, severs bool, at Time, deliver func(), size int) {
	severed := l.severed
	n.scheduler.At(at, func() {
		if severs && l.severed != severed {
			n.lose(size)
			return
		}
		deliver()
	})
}

func (n *Network[T]) lose(size int) {
	n.traffic.Dropped++
	n.traffic.DroppedBytes += int64(size)
}
