package exchange

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
)

// manner is how a simulated provider behaves.
type manner uint8

const (
	honest      manner = iota
	unreachable        // dialling takes for ever
	mute               // takes requests and never answers
	fading             // honest up to some bytes, then silent
	dripping           // the same, and then a byte a second
	promising          // holds everything, and lacks each block
	lying              // sends other bytes
	manners
)

// actor is a simulated provider.
type actor struct {
	info   peer.AddrInfo
	manner manner
	says   origin // that it is there
	is     origin
	rank   rank
	rtt    time.Duration
	rate   float64 // bytes a second
	given  int64   // bytes that it brings before it fades or drips
	comes  time.Duration

	left int64
	run  int // of its sessions, to know events of earlier ones
	m    *member
	h    *holder
	busy bool // it sends a block
}

// sim is a fetch in which everything but the peers and the line is real: the table, what is
// remembered, and the schedule. All chance is the seed's.
type sim struct {
	tb     testing.TB
	limits Limits
	now    time.Time
	queue  happenings
	seq    int
	table  *table
	sched  *schedule
	actors map[peer.ID]*actor
	trace  []string
}

// happening is what happens at a time.
type happening struct {
	at  time.Time
	seq int
	do  func()
}

type happenings []happening

func (h happenings) Len() int { return len(h) }
func (h happenings) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].seq < h[j].seq
}
func (h happenings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *happenings) Push(x any)   { *h = append(*h, x.(happening)) } //nolint:errcheck,forcetypeassert // heap's
func (h *happenings) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (s *sim) after(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.queue, happening{s.now.Add(d), s.seq, do})
}

// simStart is when every simulation begins.
var simStart = time.Unix(1e9, 0)

func newSim(tb testing.TB, c *conduct, start time.Time, blocks int, actors []*actor) *sim {
	tb.Helper()
	limits := DefaultLimits()
	index := make(sizes, blocks)
	for i := range index {
		index[i] = 1 << 20
	}
	s := &sim{
		tb: tb, limits: limits, now: start, table: newTable(limits, c),
		sched: newSchedule(index, newBitmap(blocks), limits), actors: map[peer.ID]*actor{},
	}
	for _, a := range actors {
		a.m, a.h, a.run, a.left, a.busy = nil, nil, 0, a.given, false
		s.actors[a.info.ID] = a
		s.after(a.comes, func() {
			s.table.offer(a.info, a.says, a.rank, s.now)
			s.carryOut(s.table.decide(s.now))
		})
	}
	s.after(0, s.tick)
	return s
}

// fetch returns how long it took, most if it was not done by then.
func (s *sim) fetch(most time.Duration) time.Duration {
	start := s.now
	for len(s.queue) > 0 {
		e := heap.Pop(&s.queue).(happening) //nolint:errcheck,forcetypeassert // nothing else is in it
		s.now = e.at
		if s.now.Sub(start) >= most {
			return most
		}
		e.do()
		if _, done := s.sched.wait(); done {
			return s.now.Sub(start)
		}
	}
	s.tb.Fatal("nothing happens any more")
	return 0
}

func (s *sim) tick() {
	s.table.look(s.now)
	s.check()
	for _, m := range slices.Clone(s.table.order) {
		a := s.actors[m.info.ID]
		if m.phase != placed || a.h == nil {
			continue
		}
		if m.pace.quiet(s.now) == 0 {
			s.sched.heard(a.h, s.now)
		}
		if m.pace.quiet(s.now) >= s.limits.StallTimeout {
			s.ended(a, errStalled)
			continue
		}
		s.work(a)
	}
	s.carryOut(s.table.decide(s.now))
	s.after(graceStep, s.tick)
}

// check compares what has been decided with the bounds.
func (s *sim) check() {
	u := s.table.use()
	if u.probing > s.limits.Probes || u.placed > s.limits.Peers || len(s.table.order) > maxMembers {
		s.tb.Fatalf("%d probes, %d places, %d members", u.probing, u.placed, len(s.table.order))
	}
}

func (s *sim) carryOut(todo moves) {
	for _, m := range todo.begin {
		s.log("%s begins, phase %d", m.info.ID, m.phase)
		s.begin(s.actors[m.info.ID], m)
	}
	for _, e := range todo.end {
		s.log("%s is to end: %v", e.m.info.ID, e.err)
		a, run := s.actors[e.m.info.ID], s.actors[e.m.info.ID].run
		s.after(time.Millisecond, func() {
			if a.run == run && a.m != nil {
				s.ended(a, e.err)
			}
		})
	}
}

func (s *sim) log(format string, args ...any) {
	s.trace = append(s.trace, s.now.Sub(simStart).String()+" "+fmt.Sprintf(format, args...))
}

// begin has a session dial, ask and then work.
func (s *sim) begin(a *actor, m *member) {
	if a.m != nil {
		s.tb.Fatalf("%s begins a second session", m.info.ID)
	}
	a.m = m
	a.run++
	if a.manner == unreachable {
		s.then(a, s.limits.DialTimeout, func() { s.ended(a, errNobody) })
		return
	}
	s.then(a, a.rtt, func() {
		s.table.located(m, a.is, s.now)
		if a.manner == mute {
			return
		}
		s.then(a, a.rtt, func() {
			if !s.table.admit(m, s.now) {
				s.ended(a, errHeld)
				return
			}
			have := newBitmap(len(s.sched.copies))
			have.fill(len(s.sched.copies))
			a.h = s.sched.join(m.info.ID, have, 1)
			s.work(a)
		})
	})
}

// then does something unless the session has ended by then.
func (s *sim) then(a *actor, d time.Duration, do func()) {
	run := a.run
	s.after(d, func() {
		if a.run == run && a.m != nil {
			do()
		}
	})
}

// work leases what there is and has the provider send the next block.
func (s *sim) work(a *actor) {
	for {
		req, more := s.sched.lease(a.h, block.ID{}, s.now)
		if !more {
			break
		}
		s.log("%s leases %v", a.info.ID, req.spans)
	}
	s.sched.takeKeeps(a.h)
	a.m.owes.Store(len(a.h.leases) > 0)
	if a.busy || len(a.h.leases) == 0 {
		return
	}
	l := a.h.leases[0]
	if l.next >= l.keep {
		s.must(s.sched.end(a.h, l.id))
		s.work(a)
		return
	}
	o := l.ordinals[l.next]
	size := int(s.sched.size(o))
	if a.manner == promising {
		s.then(a, a.rtt, func() {
			if len(a.h.leases) > 0 && a.h.leases[0] == l && l.next < l.keep && l.ordinals[l.next] == o {
				s.must(s.sched.missing(a.h, l.id, o, 1))
				if s.table.use().ready > 0 && !s.sched.useful(a.h) {
					s.ended(a, errEmpty)
					return
				}
			}
			a.busy = false
			s.work(a)
		})
		a.busy = true
		return
	}
	_, err := s.sched.announce(a.h, l.id, o, size)
	s.must(err)
	a.busy = true
	if (a.manner == fading || a.manner == dripping) && a.left < int64(size) {
		a.m.sent.Add(a.left)
		a.left = 0
		if a.manner == dripping {
			s.drip(a)
		}
		return
	}
	a.left -= int64(size)
	s.then(a, time.Duration(float64(size)/a.rate*float64(time.Second)), func() {
		a.busy = false
		a.m.sent.Add(int64(size))
		s.arrived(a, l.id, o, size)
	})
}

func (s *sim) arrived(a *actor, id uint64, o, size int) {
	needed, err := s.sched.arrive(a.h, id, o, size, s.now)
	s.must(err)
	if needed {
		s.sched.verified(o, a.manner != lying)
	}
	if a.manner == lying {
		s.ended(a, hostile("wrong bytes"))
		return
	}
	if needed {
		s.table.credit(a.m, size, s.now)
	}
	s.work(a)
}

func (s *sim) drip(a *actor) {
	s.then(a, time.Second, func() {
		a.m.sent.Add(1)
		s.drip(a)
	})
}

// ended ends a session as attend does.
func (s *sim) ended(a *actor, err error) {
	m := a.m
	if a.h != nil {
		s.sched.leave(a.h)
	}
	a.m, a.h, a.busy = nil, nil, false
	a.run++
	how := outcomeOf(s.tb.Context(), err)
	if how == lied || how == stuck {
		s.table.ban(m, how, err, s.now)
	}
	s.log("%s ended: %v", m.info.ID, err)
	s.table.leave(m, how, err, s.now)
	s.carryOut(s.table.decide(s.now))
}

func (s *sim) must(err error) {
	if err != nil {
		s.tb.Fatal(err)
	}
}

// cast draws the actors of a scene: some honest ones, and attackers who come before them.
func cast(seed uint64) (all []*actor, alone time.Duration) {
	r := rand.New(rand.NewPCG(seed, 7))
	blocks := 64
	prefixes := 1 + r.IntN(20)
	var rates float64
	for i := range 1 + r.IntN(3) {
		where := at(11, 0, i, 1)
		if r.IntN(3) == 0 { // in a network of the attackers'
			where = at(12, 0, r.IntN(prefixes), 200+i)
		}
		a := &actor{
			info: peer.AddrInfo{ID: peer.ID(fmt.Sprint("honest", i))}, says: where, is: where, rank: rank(r.IntN(3)),
			rtt: time.Duration(5+r.IntN(200)) * time.Millisecond, rate: float64(2<<20 + r.IntN(20<<20)), comes: time.Duration(r.IntN(1000)) * time.Millisecond,
		}
		rates += a.rate
		all = append(all, a)
	}
	only := manner(r.IntN(int(manners)))
	for i := range r.IntN(150) {
		where := at(12, 0, i%prefixes, i/prefixes%8)
		a := &actor{
			info: peer.AddrInfo{ID: peer.ID(fmt.Sprint("villain", i))}, says: where, is: where, rank: rank(r.IntN(2)), manner: only,
			rtt: time.Duration(1+r.IntN(20)) * time.Millisecond, rate: float64(100<<10 + r.IntN(20<<20)), given: int64(r.IntN(8 << 20)),
		}
		if r.IntN(4) == 0 {
			a.says = at(13, r.IntN(250), r.IntN(250), 1) // it says it is somewhere else
			a.says.known = false
		}
		if only == honest || r.IntN(4) == 0 {
			a.manner = 1 + manner(r.IntN(int(manners)-1))
		}
		all = append(all, a)
	}
	return all, time.Duration(float64(blocks<<20) / rates * float64(time.Second))
}
