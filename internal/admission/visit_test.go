package admission_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/decube/decube/internal/admission"
)

// client is somebody who is sent something by a server of one processor, in virtual time: it
// asks for its next step a while after the last one was sent.
type client struct {
	seat  admission.Seat
	bytes int64
	takes time.Duration // that a step takes to be sent
	think time.Duration // until it asks for the next one
	more  time.Duration // that it takes at most for that now and then
	at    time.Time     // of what it does next, zero when it waits for its turn
	under bool
	sent  int64
	waits time.Duration // the longest that it has waited for a turn
	since time.Time
}

// serve serves clients for a time.
func serve(t *testing.T, p admission.Pace, took time.Duration, clients map[string][]*client) {
	t.Helper()
	q, err := admission.NewQueue(p)
	if err != nil {
		t.Fatal(err)
	}
	seats := map[admission.Seat]*client{}
	for name, of := range clients {
		for i, c := range of { // each is a peer of its own
			c.seat, c.at = q.Join(holder(t, fmt.Sprint(name, i))), start
			seats[c.seat] = c
		}
	}
	for now, end := start, start.Add(took); now.Before(end); {
		var next time.Time
		for {
			seat, again := q.Next(now)
			if next = again; seat == 0 {
				break
			}
			c := seats[seat]
			c.under, c.at, c.waits = true, now.Add(c.takes), max(c.waits, now.Sub(c.since))
		}
		for _, c := range seats {
			if !c.at.IsZero() && (next.IsZero() || c.at.Before(next)) {
				next = c.at
			}
		}
		if now = next; now.IsZero() {
			t.Fatal("nothing happens any more")
		}
		for _, c := range seats {
			switch {
			case c.at.IsZero() || c.at.After(now):
			case c.under:
				q.Done(now, c.seat)
				c.sent, c.under, c.at = c.sent+c.bytes, false, now.Add(c.think)
				if c.more > 0 {
					c.at = c.at.Add(time.Duration(c.sent/c.bytes*int64(1700*time.Microsecond)) % c.more)
				}
			default:
				q.Ask(c.seat, c.bytes)
				c.at, c.since = time.Time{}, now
			}
		}
	}
}

// crowd is n who always have something to be sent.
func crowd(n int, takes time.Duration) (of []*client) {
	for range n {
		of = append(of, &client{bytes: step, takes: takes})
	}
	return of
}

const millisecond = time.Millisecond

// A transfer whose next step comes a moment after the last one has its part beside any
// number of those who always have something to be sent. Where nobody waits for it, the
// others have a visit in each of its pauses.
func TestClosedLoopHasItsPart(t *testing.T) {
	part := func(p admission.Pace, others int) float64 { // of what it has alone
		const took = 10 * time.Second
		c := &client{bytes: step, takes: millisecond, think: millisecond}
		serve(t, p, took, map[string][]*client{"s1.1a": {c}, "s2.1a": crowd(others, millisecond)})
		return float64(c.sent) / float64(step*took/(c.takes+c.think))
	}
	for _, others := range []int{1, 8, 500} {
		p := admission.PaceFor(1, admission.Unbounded)
		if got := part(p, others); got < 0.55 {
			t.Errorf("beside %d others it has %.2f", others, got)
		}
		if p.Idle = 0; others > 1 {
			if got := part(p, others); got > 0.45 {
				t.Errorf("beside %d others it has %.2f, although nobody waits for it", others, got)
			}
		}
	}
}

// How long a visit lasts is seen by how long somebody else waits for its turn who wants one
// step now and then.
func TestVisitsLastAsLongAsTheyMay(t *testing.T) {
	p := admission.PaceFor(1, admission.Unbounded)
	one := func(bytes int64, takes, think time.Duration) []*client {
		return []*client{{bytes: bytes, takes: takes, think: think}}
	}
	for _, c := range []struct {
		name        string
		first       []*client
		least, most time.Duration
	}{
		{"two at a time, 2 MiB", crowd(9, millisecond), 4 * millisecond, 5 * millisecond},
		{"two at a time, 10 ms", crowd(9, 4*millisecond), 9 * millisecond, 14 * millisecond},
		{"one who comes back soon", one(step, millisecond, millisecond), 9 * millisecond, 11 * millisecond},
		{"one who comes back late", one(step, millisecond, 3*millisecond), 2 * millisecond, 3 * millisecond},
		{"one who wants little", one(1000, 0, millisecond), 0, 0},
		{"those who do not read", crowd(9, time.Minute), 9 * millisecond, 10 * millisecond},
	} {
		other := &client{bytes: step, takes: millisecond, think: 15 * millisecond, more: 11 * millisecond}
		serve(t, p, 10*time.Second, map[string][]*client{"s1.1a": c.first, "s2.1a": {other}})
		if other.waits < c.least || other.waits > c.most {
			t.Errorf("%s: the other waits for up to %v, want %v to %v", c.name, other.waits, c.least, c.most)
		}
	}
}

// With many prefixes each of them is sent one step, so that who wants little is not kept
// waiting for as many long visits.
func TestVisitsOfManyAreShort(t *testing.T) {
	for n, most := range map[int]time.Duration{3: 26 * millisecond, 31: 43 * millisecond, 100: 101 * millisecond} {
		clients := map[string][]*client{}
		for i := range n {
			clients[fmt.Sprintf("s%d.1a", i+1)] = crowd(4, 2*millisecond)
		}
		little := &client{bytes: 100, think: 70 * millisecond, more: 50 * millisecond}
		clients["s200.1a"] = []*client{little}
		serve(t, admission.PaceFor(1, admission.Unbounded), 20*time.Second, clients)
		if little.waits > most || little.waits < most/2 {
			t.Errorf("beside %d prefixes it takes up to %v, want about %v", n, little.waits, most)
		}
	}
}

// With as many cores as prefixes all are visited at the same time.
func TestAsManyVisitsAsCores(t *testing.T) {
	clients := map[string][]*client{}
	for i := range 4 {
		clients[fmt.Sprintf("s%d.1a", i+1)] = crowd(2, millisecond)
	}
	serve(t, admission.PaceFor(4, admission.Unbounded), time.Second, clients)
	for name, of := range clients {
		for _, c := range of {
			if c.sent < 990*step {
				t.Errorf("%s was sent %d steps in 1000 ms, each of which takes one", name, c.sent/step)
			}
		}
	}
}

// Where the rate is what bounds a visit, it has as many bytes as its weight says, however
// long they take.
func TestVisitsAtARateAreByWeight(t *testing.T) {
	clients := map[string][]*client{"s1.1a": crowd(4, millisecond), "m2.1a": crowd(4, millisecond)}
	serve(t, admission.PaceFor(1, 16*step), 100*time.Second, clients)
	sent := func(name string) (n int64) {
		for _, c := range clients[name] {
			n += c.sent / step
		}
		return n
	}
	if s, m := sent("s1.1a"), sent("m2.1a"); s < 300 || s > 340 || s+m < 1590 {
		t.Errorf("of 1,600 steps a stranger was sent %d and a member %d, want a fifth", s, m)
	}
}
