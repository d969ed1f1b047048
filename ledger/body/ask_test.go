package body_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/quorum"
)

// schedule returns at which instants up to an end a store asks, and whom.
func schedule(s *body.Store, from, end body.Instant, busy bool) []string {
	var out []string
	for now := from; now <= end; now++ {
		next, waits := s.Deadline()
		asks := s.Due(now, busy)
		if len(asks) > 0 && (!waits || next > now) {
			out = append(out, fmt.Sprintf("%d: before the deadline", now))
		}
		for _, a := range asks {
			out = append(out, fmt.Sprintf("%d: %d of %d", now, a.Seq, a.To))
		}
	}
	return out
}

func wantSchedule(tb testing.TB, got []string, want ...string) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("asked\n%q\nwant\n%q", got, want)
	}
}

func TestAskWithGrowingPatience(t *testing.T) {
	s := newStore()
	c := content(t, 1, 10)
	if _, waits := s.Deadline(); waits {
		t.Error("an empty store has a deadline")
	}
	s.Check(0, 1, c.Root(), []quorum.Replica{2, 0, 3}, 1000)
	wantSchedule(t, schedule(s, 1000, 8000, false),
		"1000: 1 of 2", "1100: 1 of 0", "1300: 1 of 3", "1700: 1 of 2", "2500: 1 of 0", "4100: 1 of 3", "5700: 1 of 2", "7300: 1 of 0")
	s.Supply(c)
	wantSchedule(t, schedule(s, 8000, 12000, false))
}

func TestAskAgainForWhatIsAskedAgain(t *testing.T) {
	s := newStore()
	a, b := content(t, 1, 10), content(t, 2, 10)
	s.Check(0, 1, a.Root(), []quorum.Replica{0}, 0)
	s.Check(0, 2, b.Root(), []quorum.Replica{0}, 5)
	wantSchedule(t, schedule(s, 0, 50, false), "0: 1 of 0", "5: 2 of 0")
	s.Check(0, 1, a.Root(), []quorum.Replica{0, 3}, 60) // more have voted: patience stays
	wantSchedule(t, schedule(s, 60, 104, false), "100: 1 of 3")
	s.Check(0, 2, a.Root(), []quorum.Replica{1}, 200) // another block is certified there
	wantSchedule(t, schedule(s, 200, 250, false), "200: 2 of 1")
	s.Enter(1, 0)
	wantSchedule(t, schedule(s, 251, 9000, false))
	if s.Check(0, 1, a.Root(), nil, 0) || s.Check(1, 0, a.Root(), nil, 0) {
		t.Error("a Check of a view or a number that is over counts")
	}
	s.Check(1, 1, a.Root(), nil, 0) // there is nobody to ask
	wantSchedule(t, schedule(s, 0, 400, false))
}

func TestAskLaterForKnownTransactions(t *testing.T) {
	for _, c := range []struct {
		busy bool
		want []string
	}{
		{false, []string{"50: 1 of 0", "150: 1 of 1", "350: 1 of 0"}},
		{true, []string{"250: 1 of 0", "350: 1 of 1"}},
	} {
		s := newStore()
		whole := content(t, 1, 10)
		s.Propose(0, 1, body.FromIDs(whole.IDs()))
		s.Check(0, 1, whole.Root(), []quorum.Replica{0, 1}, 0)
		wantSchedule(t, schedule(s, 0, 400, c.busy), c.want...)
		s.Pin(0, 1, whole)
		wantSchedule(t, schedule(s, 400, 4000, c.busy))
	}
}

func peer(n int) sig.PublicKey { return sig.PublicKey{byte(n), byte(n >> 8)} }

func TestAnswersAreFew(t *testing.T) {
	var a body.Answers
	count := func(p int, from, to body.Instant) (n int) {
		for now := from; now < to; now++ {
			for range 3 {
				if a.Allow(peer(p), now) {
					n++
				}
			}
		}
		return n
	}
	if got := count(1, 0, 10); got != 4 {
		t.Errorf("%d answers in 10 ms, want 4", got)
	}
	if got := count(2, 9, 10); got != 3 {
		t.Errorf("another peer gets %d answers, want 3", got)
	}
	if got := count(1, 10, 110); got != 40 {
		t.Errorf("%d answers in 100 ms, want 40", got)
	}
}

func TestAnswersAreBoundedInBytes(t *testing.T) {
	var a body.Answers
	const size, seconds = 1 << 20, 10
	sent := 0
	for now := range body.Instant(seconds * 1000) {
		if a.Allow(peer(1), now) {
			a.Charge(peer(1), size, now)
			sent += size
		}
	}
	if most := (seconds+1)*body.AnswerBytes + size; sent > most || sent < most-2*body.AnswerBytes {
		t.Errorf("%d bytes were sent in %d s, want about %d", sent, seconds, most)
	}
	if !a.Allow(peer(2), seconds*1000) {
		t.Error("another peer pays for it")
	}
	a.Charge(peer(2), 100*body.AnswerBytes, seconds*1000)
	if a.Allow(peer(2), (seconds+98)*1000) || !a.Allow(peer(2), (seconds+100)*1000) {
		t.Error("a debt is not paid off at the rate")
	}
}

// Peers that come and go do not free those that have spent what they had.
func TestAnswersRememberWhoHasAsked(t *testing.T) {
	var a body.Answers
	a.Charge(peer(0), 2*body.AnswerBytes, 0)
	for n := 1; n < 5000; n++ {
		a.Allow(peer(n), body.Instant(n/100))
	}
	if a.Allow(peer(0), 60) {
		t.Error("a peer is answered that has spent two seconds' worth")
	}
}
