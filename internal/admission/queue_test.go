package admission_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/admission"
)

const step = 256 << 10

// sender is a queue with streams that have something to send at all times.
type sender struct {
	t     *testing.T
	q     *admission.Queue
	seats map[admission.Seat]string
	sent  map[string]int // steps, by the name of who was sent them
}

func newSender(t *testing.T, p admission.Pace) *sender {
	t.Helper()
	q, err := admission.NewQueue(p)
	if err != nil {
		t.Fatal(err)
	}
	return &sender{t: t, q: q, seats: map[admission.Seat]string{}, sent: map[string]int{}}
}

// join adds a stream of a holder whose name is as in a script.
func (s *sender) join(name string) admission.Seat {
	seat := s.q.Join(holder(s.t, name))
	s.seats[seat] = name
	s.q.Ask(seat, step)
	return seat
}

// run sends some steps, as many at a time as there may be, and the oldest ends first.
func (s *sender) run(steps int) {
	s.t.Helper()
	var under []admission.Seat
	for range steps {
		for {
			seat, _ := s.q.Next(start)
			if seat == 0 {
				break
			}
			under = append(under, seat)
			s.sent[s.seats[seat]]++
		}
		if len(under) == 0 {
			s.t.Fatal("nobody has a turn")
		}
		s.q.Done(start, under[0])
		s.q.Ask(under[0], step)
		under = under[1:]
	}
}

// about fails unless somebody was sent a number of steps, give or take a round.
func (s *sender) about(name string, want int) {
	s.t.Helper()
	if got := s.sent[name]; got < want-8 || got > want+8 {
		s.t.Errorf("%s was sent %d steps, want %d; all: %v", name, got, want, s.sent)
	}
}

func TestTurnsAreByWeight(t *testing.T) {
	for _, under := range []int{1, 2, 3, 4, 8} {
		s := newSender(t, admission.Pace{Step: step, Hold: time.Second, Under: under, Rate: admission.Unbounded})
		for _, name := range []string{"s1.1a", "k2.1a", "m3.1a", "p4.1a"} {
			for range 10 {
				s.join(name)
			}
		}
		s.run(1100)
		// By weight a stranger would have a quarter of what a member has; but nobody who
		// always wants more is left with less than half of what another has.
		s.about("s1.1a", 183)
		s.about("k2.1a", 183)
		s.about("m3.1a", 367)
		s.about("p4.1a", 367)
	}
	// With one stream each, what has a turn left goes on as soon as it asks again.
	s := newSender(t, admission.Pace{Step: step, Hold: time.Second, Under: 1, Rate: admission.Unbounded})
	for _, name := range []string{"s1.1a", "k2.1a", "m3.1a", "p4.1a"} {
		s.join(name)
	}
	s.run(1100)
	s.about("s1.1a", 183)
	s.about("k2.1a", 183)
	s.about("m3.1a", 367)
}

func TestTurnsAreByPrefix(t *testing.T) {
	s := newSender(t, admission.Pace{Step: step, Hold: time.Second, Under: 1, Rate: admission.Unbounded})
	for i := range 100 {
		s.join(fmt.Sprintf("s1.%da", i%5))
		s.join(fmt.Sprintf("s1.1%c", 'b'+i%20))
	}
	s.join("s2.1a")
	s.join("s3.1a")
	s.join("s3.2a")
	s.run(1200)
	s.about("s2.1a", 400)
	s.about("s3.1a", 200)
	s.about("s3.2a", 200)
	// Of 400 steps, each of five addresses has 80, whatever it has of peers and streams.
	s.about("s1.2a", 80)
	if n := s.sent["s1.1b"]; n > 8 {
		t.Errorf("one of 21 peers at an address was sent %d steps", n)
	}
}

func TestOnePeerNeedsNoTurns(t *testing.T) {
	q, err := admission.NewQueue(admission.Pace{Step: step, Hold: time.Second, Under: 2, Rate: admission.Unbounded})
	if err != nil {
		t.Fatal(err)
	}
	next := func() admission.Seat { s, _ := q.Next(start); return s }
	for range 10 {
		q.Ask(q.Join(holder(t, "s1.1a")), step)
	}
	for range 9 {
		if next() == 0 {
			t.Fatal("the only peer waits")
		}
	}
	other := q.Join(holder(t, "s2.1a"))
	q.Ask(other, step)
	if s := next(); s != 0 {
		t.Fatalf("with 9 steps under way %d has a turn", s)
	}
	for s := range admission.Seat(8) {
		q.Done(start, s+1)
	}
	if s := next(); s != other && s != 10 {
		t.Fatalf("with one step under way %d has a turn", s)
	}
	q.Leave(start, 9)
	q.Leave(start, 9)
	if next() == 0 || next() != 0 {
		t.Fatal("not two are under way")
	}
}

func TestRate(t *testing.T) {
	q, err := admission.NewQueue(admission.Pace{Step: step, Hold: time.Second, Under: 100, Rate: step / 2})
	if err != nil {
		t.Fatal(err)
	}
	now := start
	var seats []admission.Seat
	for _, name := range []string{"s1.1a", "s1.1a", "s2.1a"} {
		seats = append(seats, q.Join(holder(t, name)))
	}
	for i, c := range []struct {
		bytes int64
		then  time.Duration // until the next
	}{{step, 2 * time.Second}, {step / 2, time.Second}, {1, 7629}, {10 * step, 2 * time.Second}} {
		s := seats[i%3]
		q.Ask(s, c.bytes)
		if got, _ := q.Next(now); got != s {
			t.Fatalf("step %d: %d has a turn, want %d", i, got, s)
		}
		q.Done(now, s)
		q.Ask(seats[(i+1)%3], 1)
		if got, next := q.Next(now); got != 0 || next != now.Add(c.then) {
			t.Fatalf("after step %d: %d has a turn, or again after %v, want %v", i, got, next.Sub(now), c.then)
		}
		q.Leave(now, seats[(i+1)%3])
		seats[(i+1)%3] = q.Join(holder(t, "s1.1b"))
		now = now.Add(c.then)
	}
	now = now.Add(time.Hour) // of which one step is saved up
	for _, s := range seats {
		q.Ask(s, step)
	}
	for range 2 {
		if s, _ := q.Next(now); s == 0 {
			t.Fatal("nobody has a turn")
		}
	}
	if s, next := q.Next(now); s != 0 || next != now.Add(2*time.Second) {
		t.Fatalf("%d has a turn, or again after %v", s, next.Sub(now))
	}
}

func TestPacesThatAreNone(t *testing.T) {
	for _, p := range []admission.Pace{
		{},
		{Step: 1, Under: 1, Hold: 1},
		{Step: 1, Hold: 1, Rate: 1},
		{Under: 1, Hold: 1, Rate: 1},
		{Step: 1, Under: 1, Rate: 1},
		{Step: 1, Under: 1, Hold: 1, Rate: admission.Unbounded + 1},
		{Step: 1, Under: 1, Hold: 1, Rate: 1, Linger: -1},
	} {
		if _, err := admission.NewQueue(p); !errors.Is(err, admission.ErrInvalid) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if p := admission.PaceFor(0, 1); p.Validate() != nil || p.Under != 2 {
		t.Errorf("%+v", p)
	}
}

// queued is what the model knows of a seat.
type queued struct {
	path  [4]string // prefix, address, peer and seat
	class admission.Class
	asked int64
	under bool      // it is being sent
	since time.Time // that began
	free  bool      // it does not count as under way
	slow  int       // steps that have to be quick: one took long
}

// Whatever happens, no more steps are under way than may be, one is whenever somebody waits
// and may, and of two who wait none is sent more than its weight before the other is, or
// twice that as a prefix that is light.
func TestModelOfTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pace := admission.Pace{Step: 64, Hold: 3 * time.Second, Under: rapid.IntRange(1, 4).Draw(t, "under"), Rate: admission.Unbounded}
		pace.Linger = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "linger")
		pace.Least = rapid.Bool().Draw(t, "least")
		q, err := admission.NewQueue(pace)
		if err != nil {
			t.Fatal(err)
		}
		ended := start // when a step was last done, whose place may be kept from then on
		seats := map[admission.Seat]*queued{}
		// What the others of its group were sent since a group waits that was sent nothing.
		since := map[string]map[string]int64{}
		waits := func(level int, name string) bool {
			for _, s := range seats {
				if s.path[level] == name && s.asked > 0 && !s.under {
					return true
				}
			}
			return false
		}
		peers := func() int {
			active := map[string]bool{}
			for _, s := range seats {
				if s.asked > 0 {
					active[s.path[2]] = true
				}
			}
			return len(active)
		}
		some := func(t *rapid.T) (admission.Seat, *queued) {
			if len(seats) == 0 {
				t.Skip("nobody is there")
			}
			s := rapid.SampledFrom(slices.Sorted(maps.Keys(seats))).Draw(t, "seat")
			return s, seats[s]
		}
		now := start
		under := func() (n int) {
			for _, s := range seats {
				if s.under && !s.free && now.Sub(s.since) < pace.Hold {
					n++
				}
			}
			return n
		}
		done := func(seat admission.Seat) {
			q.Done(now, seat)
			ended = now
			if s := seats[seat]; s.under {
				s.asked, s.under, s.slow = 0, false, max(0, s.slow-1)
				if now.Sub(s.since) >= pace.Hold {
					s.slow = 8
				}
			}
		}
		grant := func(t *rapid.T) {
			seat, next := q.Next(now)
			if seat == 0 {
				if waits := slices.ContainsFunc(slices.Collect(maps.Values(seats)), func(s *queued) bool { return s.asked > 0 && !s.under }); waits && (under() < pace.Under || peers() == 1) && now.Sub(ended) >= pace.Linger {
					t.Fatalf("somebody waits while %d steps of %d are under way", under(), pace.Under)
				} else if waits && (!next.After(now) || next.After(now.Add(pace.Hold))) {
					t.Fatalf("the next turn may be in %v", next.Sub(now))
				}
				return
			}
			s := seats[seat]
			if s == nil || s.under || s.asked == 0 {
				t.Fatalf("it is the turn of %+v", s)
			}
			if under() >= pace.Under && peers() > 1 {
				t.Fatalf("%d steps are under way, and one more", under())
			}
			weight := map[admission.Class]int64{0: 1, 1: 2, 2: 4, 3: 4}[s.class]
			for level, own := range s.path {
				if level == 0 && pace.Least { // what goes beside the rounds has no weight
					continue
				}
				siblings := map[string]bool{}
				for _, o := range seats {
					if level == 0 || o.path[level-1] == s.path[level-1] {
						siblings[o.path[level]] = true
					}
				}
				delete(siblings, own)
				for other := range siblings {
					if !waits(level, other) {
						continue
					}
					if since[other] == nil {
						since[other] = map[string]int64{}
					}
					since[other][own] += s.asked
					favour := int64(1)
					if level == 0 {
						favour = 2
					}
					if n := since[other][own]; n > (favour*weight+1)*pace.Step {
						t.Fatalf("%s, of weight %d, was sent %d while %s waits", own, weight, n, other)
					}
				}
				delete(since, own)
			}
			s.under, s.since, s.free = true, now, s.slow > 0
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {
				for name := range since { // who does not wait has no claim
					if !waits(0, name) && !waits(1, name) && !waits(2, name) && !waits(3, name) {
						delete(since, name)
					}
				}
			},
			"join": func(t *rapid.T) {
				p, a, id := rapid.IntRange(1, 3).Draw(t, "prefix"), rapid.IntRange(1, 2).Draw(t, "address"), rapid.IntRange(1, 2).Draw(t, "peer")
				class := admission.Class(p) // of all in a prefix, so that its weight stays
				seat := q.Join(admission.Holder{
					Peer: fmt.Sprint(p, a, id), Class: class,
					Origin: admission.From(netip.AddrFrom4([4]byte{198, 51, byte(p), byte(a)})),
				})
				seats[seat] = &queued{class: class, path: [4]string{fmt.Sprint(p), fmt.Sprint(p, a), fmt.Sprint(p, a, id), fmt.Sprint(p, a, id, seat)}}
			},
			"ask": func(t *rapid.T) {
				seat, s := some(t)
				n := rapid.Int64Range(1, pace.Step).Draw(t, "bytes")
				q.Ask(seat, n)
				if s.asked == 0 {
					s.asked = n
				}
			},
			"next": grant, "next again": grant, "and again": grant,
			"done": func(t *rapid.T) {
				seat, _ := some(t)
				done(seat)
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 3).Draw(t, "seconds")) * time.Second)
			},
			"done, and more": func(t *rapid.T) {
				for _, seat := range slices.Sorted(maps.Keys(seats)) {
					if seats[seat].under {
						done(seat)
						seats[seat].asked = pace.Step
						q.Ask(seat, pace.Step)
					}
				}
			},
			"leave": func(t *rapid.T) {
				seat, _ := some(t)
				q.Leave(now, seat)
				delete(seats, seat)
			},
		})
	})
}

func TestSmallStepsCostATurn(t *testing.T) {
	s := newSender(t, admission.Pace{Step: step, Hold: time.Second, Under: 1, Rate: admission.Unbounded})
	large, small := s.join("s1.1a"), s.q.Join(holder(t, "s2.1a"))
	s.q.Ask(small, 1)
	n := map[admission.Seat]int{}
	for n[large] < 10 {
		seat, _ := s.q.Next(start)
		n[seat]++
		s.q.Done(start, seat)
		s.q.Ask(seat, map[admission.Seat]int64{large: step, small: 1}[seat])
	}
	if n[small] < 9*64 || n[small] > 11*64 {
		t.Errorf("for 10 steps of %d bytes there were %d of 1 byte, want 64 each", step, n[small])
	}
}

func TestWhoLeavesLeavesNothing(t *testing.T) {
	s := newSender(t, admission.Pace{Step: step, Hold: time.Second, Under: 1, Rate: admission.Unbounded})
	for range 10 {
		s.join("s1.1a")
		s.join("s2.1a")
	}
	// A member at an address counts for its prefix as long as it is there, and whoever
	// waits behind it has its turn.
	member := s.join("m1.1b")
	last := s.join("s1.1a")
	s.q.Leave(start, last)
	s.q.Leave(start, member)
	s.join("s1.1a")
	s.run(400)
	s.about("s1.1a", 200)
	s.about("s2.1a", 200)
}

// Those who do not read what they are sent have no turns of others.
func TestSlowReadersHoldNoTurns(t *testing.T) {
	q, err := admission.NewQueue(admission.PaceFor(1, admission.Unbounded))
	if err != nil {
		t.Fatal(err)
	}
	now := start
	var slow []admission.Seat
	for i := range 8 {
		slow = append(slow, q.Join(holder(t, fmt.Sprintf("s%d.1a", i+1))))
	}
	other := q.Join(holder(t, "s9.1a"))
	for range 8 { // it is not light
		q.Ask(other, step)
		if seat, _ := q.Next(now); seat != other {
			t.Fatal("it is nobody else's turn")
		}
		q.Done(now, other)
	}
	wait := func() (waited time.Duration) { // for other's turn
		q.Ask(other, step)
		for {
			seat, next := q.Next(now)
			switch seat {
			case other:
				q.Done(now, other)
				return waited
			case 0:
				waited += next.Sub(now)
				now = next
			}
		}
	}
	for _, s := range slow {
		q.Ask(s, step)
	}
	if waited := wait(); waited != 80*time.Millisecond {
		t.Errorf("behind 8 who do not read, of whom 2 are sent something, one waits for %v", waited)
	}
	now = now.Add(time.Second)
	for _, s := range slow {
		q.Done(now, s)
		q.Ask(s, step)
	}
	if waited := wait(); waited != 0 {
		t.Errorf("behind 8 who are known not to read one waits for %v", waited)
	}
	again := func() {
		for _, s := range slow {
			q.Done(now, s)
			q.Ask(s, step)
		}
	}
	for range 7 { // and now they have read, again and again
		again()
		if waited := wait(); waited != 0 {
			t.Errorf("behind 8 of whom it is not known yet that they read one waits for %v", waited)
		}
	}
	again()
	if waited := wait(); waited != 80*time.Millisecond {
		t.Errorf("behind 8 who have read one waits for %v", waited)
	}
}
