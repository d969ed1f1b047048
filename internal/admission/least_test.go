package admission_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/decube/decube/internal/admission"
)

// A newcomer has every second step while a hundred networks want all they can get, until it was
// sent as much as they; and what it was sent is not forgotten when it leaves.
func TestLeast(t *testing.T) {
	q, err := admission.NewQueue(admission.Pace{Step: 4, Hold: time.Second, Under: 1, Rate: admission.Unbounded, Least: true})
	if err != nil {
		t.Fatal(err)
	}
	now := start
	join := func(network byte) admission.Seat {
		seat := q.Join(admission.Holder{Peer: fmt.Sprint(network), Origin: admission.From(netip.AddrFrom4([4]byte{203, 0, network, 1}))})
		q.Ask(seat, 1)
		return seat
	}
	run := func(steps int, of admission.Seat) (n int) {
		for range steps {
			seat, _ := q.Next(now)
			if seat == of {
				n++
			}
			q.Done(now, seat)
			q.Ask(seat, 1)
		}
		return n
	}
	for i := range byte(100) {
		join(i)
	}
	run(100*50, 0)
	newcomer := join(200)
	if n := run(90, newcomer); n < 45 || n > 50 {
		t.Errorf("a newcomer has %d of 90 steps", n)
	}
	run(10*100, newcomer)
	if n := run(1010, newcomer); n < 2 || n > 20 {
		t.Errorf("when it was sent as much as the others it has %d of 1010 steps", n)
	}
	q.Leave(now, newcomer)
	again := join(200)
	if n := run(90, again); n > 8 {
		t.Errorf("back again it has %d of 90 steps", n)
	}
	q.Leave(now, again)
	now = now.Add(time.Hour)
	run(101*50, 0)
	if n := run(90, join(200)); n < 45 {
		t.Errorf("an hour later it has %d of 90 steps", n)
	}
}
