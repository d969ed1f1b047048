package admission_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/decube/decube/internal/admission"
)

// So do these: who holds no place has one of those who have held theirs for longest and ask
// nothing, though they hold no more than it would.
func TestWhoHasHeldForLongest(t *testing.T) {
	play(t, map[string]string{
		"one that rests gives way, not one that is answered": `
			enter s1.1a
			working s1.1a-1
			enter s2.1a
			moved s2.1a-1
			working s2.1a-1
			resting s2.1a-1
			enter s3.1a
			working s3.1a-1
			enter s4.1a
			working s4.1a-1
			enter s5.1a
			working s5.1a-1
			enter s6.1a
			working s6.1a-1
			wait 1s
			enter s7.1a -> stranger
			wait 1s
			enter s1.1b -> stranger
			enter s7.1a -> s2.1a-1
			working s7.1a-1
			wait 2s
			enter s8.1a -> stranger`,
		"who has lost its place is not new": `
			enter s1.1a
			moved s1.1a-1
			enter s2.1a
			moved s2.1a-1
			enter s3.1a
			moved s3.1a-1
			enter s4.1a
			moved s4.1a-1
			enter s5.1a
			moved s5.1a-1
			enter s6.1a
			moved s6.1a-1
			wait 2s
			enter s7.1a -> s1.1a-1
			enter s1.1a -> stranger
			wait 1s
			enter s1.1a -> stranger
			enter s8.1a -> s2.1a-1`,
	})
}

// Two hundred networks hold a place each whenever they can and ask for nothing; each time that
// one loses it, all the others are there at once. Who comes from another network is served soon,
// and as long as it asks for something.
func TestNewcomersBesideThoseWhoAskNothing(t *testing.T) {
	l := someLimits()
	l.Places, l.Reserved = 32, 8
	table, err := admission.New(l)
	if err != nil {
		t.Fatal(err)
	}
	from := func(name string, a, b byte) admission.Holder {
		return admission.Holder{Peer: name, Origin: admission.From(netip.AddrFrom4([4]byte{a, 0, b, 1}))}
	}
	const hostile = 200
	held := map[admission.Place]int{}
	has := [hostile]bool{}
	var newcomer admission.Place
	lose := func(lost []admission.Place) {
		for _, p := range lost {
			if p == newcomer {
				t.Error("a newcomer loses its place")
				newcomer = 0
			}
			has[held[p]] = false
			delete(held, p)
			table.Leave(p)
		}
	}
	came, served, waited := 0, 0, 0
	for tick := range 10 * 300 {
		now := start.Add(time.Duration(tick) * 100 * time.Millisecond)
		late, _ := table.Due(now)
		lose(late)
		for i := range hostile {
			who := (i + tick) % hostile
			if has[who] {
				continue
			}
			if p, lost, code := table.Enter(now, from(fmt.Sprint(who), 20, byte(who))); code.OK() {
				lose(lost)
				held[p], has[who] = who, true
			}
		}
		switch {
		case tick%100 == 50:
			came, waited = came+1, 0
			fallthrough
		case newcomer == 0 && tick%100 > 50 && tick%10 == 0:
			waited++
			p, lost, code := table.Enter(now, from("newcomer", 30, byte(came)))
			if lose(lost); code.OK() {
				newcomer = p
			}
		case newcomer != 0 && tick%100 == 90:
			if table.Turn(now, newcomer, admission.Resting); waited <= 2 {
				served++
			}
			table.Leave(newcomer)
			newcomer = 0
		case newcomer != 0 && tick%10 == 1:
			table.Turn(now, newcomer, admission.Working)
		}
	}
	if served < came-1 {
		t.Errorf("%d of %d newcomers are served within a second", served, came)
	}
}
