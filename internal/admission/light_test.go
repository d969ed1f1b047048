package admission_test

import (
	"testing"
	"time"

	"github.com/decube/decube/internal/admission"
)

// A prefix that was sent little lately has twice its weight until it has caught up to half of
// what another was, and goes without turns where it may.
func TestWhoIsLight(t *testing.T) {
	pace := admission.Pace{Step: step, Hold: time.Second, Under: 1, Rate: admission.Unbounded}
	s := newSender(t, pace)
	heavy := s.join("s1.1a")
	s.run(100)
	if s.q.Light(heavy) {
		t.Error("light, with nobody else there")
	}
	stranger, member := s.join("s2.1a"), s.join("m3.1a")
	if !s.q.Light(stranger) || !s.q.Light(member) || s.q.Light(heavy) {
		t.Errorf("light: who has come %t and %t, who was sent all %t", s.q.Light(stranger), s.q.Light(member), s.q.Light(heavy))
	}
	s.sent = map[string]int{}
	s.run(110)
	s.about("s1.1a", 10)
	s.about("s2.1a", 20)
	s.about("m3.1a", 80)
	s.run(8 * 110)
	if s.q.Light(member) {
		t.Error("light after being sent as much as the other")
	}

	// What was sent is forgotten by and by.
	later := s.join("s4.1a")
	for _, after := range []time.Duration{10 * time.Second, time.Minute, time.Hour} {
		forgotten := s.q.Pass(start.Add(after), s.q.Join(holder(t, "s5.1a")), 1)
		if want := after == time.Hour; forgotten == want || s.q.Light(later) == want {
			t.Errorf("after %v: passes %t, light %t", after, forgotten, s.q.Light(later))
		}
	}
}

func TestPass(t *testing.T) {
	pace := admission.Pace{Step: step, Hold: time.Second, Under: 1, Rate: admission.Unbounded}
	s := newSender(t, pace)
	heavy := s.join("s1.1a")
	s.run(100)
	a, b := s.q.Join(holder(t, "s2.1a")), s.q.Join(holder(t, "s2.2b"))
	if s.q.Pass(start, heavy, step) || s.q.Pass(start, 12345, step) {
		t.Error("who is heavy, or is not there, passes")
	}
	n := 0
	for s.q.Pass(start, a, step) && s.q.Pass(start, b, step) { // they are of one prefix
		n += 2
	}
	if n < 48 || n > 52 {
		t.Errorf("%d steps pass of half of 100", n)
	}
	c := s.q.Join(holder(t, "s3.1a"))
	s.q.Ask(c, step)
	if s.q.Pass(start, c, step) {
		t.Error("who waits for its turn passes")
	}
	pace.Rate = 1 << 20
	bounded := newSender(t, pace)
	bounded.join("s1.1a")
	bounded.q.Next(start)
	if bounded.q.Pass(start, bounded.q.Join(holder(t, "s2.1a")), step) {
		t.Error("it passes where the rate is bounded")
	}
}

// Who comes right back with a small step has its place again, as long as its round goes on;
// who does not loses it soon, to others that wait.
func TestPlacesAreKeptForAMoment(t *testing.T) {
	for _, linger := range []time.Duration{0, time.Millisecond} {
		q, err := admission.NewQueue(admission.Pace{Step: 4, Hold: time.Second, Under: 1, Rate: admission.Unbounded, Linger: linger})
		if err != nil {
			t.Fatal(err)
		}
		a, b := q.Join(holder(t, "s1.1a")), q.Join(holder(t, "s2.1a"))
		q.Ask(a, 1)
		q.Ask(b, 1)
		changes, last := 0, admission.Seat(0)
		for range 64 {
			seat, _ := q.Next(start)
			if seat != last {
				changes, last = changes+1, seat
			}
			q.Done(start, seat)
			if next, _ := q.Next(start); next != 0 { // the other, before it is there again
				changes, last = changes+1, next
				q.Done(start, next)
				q.Ask(next, 1)
			}
			q.Ask(seat, 1)
		}
		if kept := changes < 24; kept != (linger > 0) {
			t.Errorf("lingering for %v, the place changes hands %d times in 64 steps", linger, changes)
		}
	}
	q, err := admission.NewQueue(admission.Pace{Step: 4, Hold: time.Second, Under: 1, Rate: admission.Unbounded, Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	a, b := q.Join(holder(t, "s1.1a")), q.Join(holder(t, "s2.1a"))
	q.Ask(a, 1)
	q.Ask(b, 1)
	first, _ := q.Next(start)
	q.Done(start, first)
	if seat, next := q.Next(start); seat != 0 || !next.Equal(start.Add(time.Millisecond)) {
		t.Errorf("%v has the place, which is kept until %v", seat, next)
	}
	if seat, _ := q.Next(start.Add(time.Millisecond)); seat == 0 || seat == first {
		t.Errorf("%v has the place after that", seat)
	}
	q.Leave(start.Add(time.Millisecond), a)
	q.Leave(start.Add(time.Millisecond), b)
	c := q.Join(holder(t, "s3.1a"))
	q.Ask(c, 1)
	if seat, _ := q.Next(start.Add(time.Millisecond)); seat != c {
		t.Error("who has left still has a place")
	}
}
