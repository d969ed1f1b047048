package exchange

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const least = 4 << 10
	start := time.Unix(1e9, 0)
	var p pace
	for _, step := range []struct {
		at    time.Duration
		came  int64
		owes  bool
		quiet time.Duration
		rate  float64
	}{
		{0, 0, false, 0, 0},
		{time.Hour, 0, false, 0, 0}, // nothing is owed
		{time.Hour + time.Second, 0, true, 0, 0},
		{time.Hour + 2*time.Second, least - 1, true, time.Second, least - 1}, // not enough to count
		{time.Hour + 3*time.Second, least, true, 0, least / 2},
		{time.Hour + 4*time.Second, 2 * least, true, 0, least * 3 / 4},
		{time.Hour + 9*time.Second, 2 * least, true, 5 * time.Second, least * 3 / 8},
		{time.Hour + 10*time.Second, 2 * least, false, 0, least * 3 / 8}, // what this peer itself holds up is nobody's fault
		{time.Hour + 20*time.Second, 2 * least, true, 0, least * 3 / 8},
		{time.Hour + 22*time.Second, 6 * least, true, 0, least * 19 / 16},
	} {
		now := start.Add(step.at)
		p.look(step.came, step.owes, least, now)
		if got := p.quiet(now); got != step.quiet || int64(p.rate) != int64(step.rate) {
			t.Errorf("at %v: quiet for %v at %.0f B/s, want %v and %.0f", step.at, got, p.rate, step.quiet, step.rate)
		}
	}
}
