package bandwidth

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// mostStep is the most bytes that are waited for at a time, and leastStep the fewest.
	mostStep, leastStep = 64 << 10, 1 << 10
	// stepsPerSecond is how many steps a second there are where they are smaller, so that a
	// slow bound flows rather than comes in gusts, and many connections have their turns.
	stepsPerSecond = 16
	// burst is for how long a bound that was not used may be made up for. Timers come late by
	// a millisecond or two, which would else be lost each time.
	burst = 50 * time.Millisecond
	// lentToMembers and lentToStrangers are how far talk may run ahead of a bound. That of
	// strangers ends first, so that they cannot have members wait.
	lentToMembers, lentToStrangers = time.Second, time.Second / 2
)

// pipe is one direction.
type pipe struct {
	whole, strangers *rate.Limiter // nil where there is no bound
	steps            [parties]int
	turns            [parties]chan struct{} // hold one while it is somebody's turn
	passed           [parties]meter
}

func newPipe(whole, strangers int64) *pipe {
	l := &pipe{whole: newBucket(whole), strangers: newBucket(strangers)}
	for g := range parties {
		l.turns[g] = make(chan struct{}, 1)
		l.steps[g] = mostStep
		for _, b := range l.buckets(g) {
			l.steps[g] = min(l.steps[g], stepOf(limitOf(b)))
		}
	}
	return l
}

// newBucket returns the tokens of a bound, nil for none.
func newBucket(perSecond int64) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	most := int(float64(perSecond) * burst.Seconds())
	return rate.NewLimiter(rate.Limit(perSecond), max(most, stepOf(perSecond)))
}

func limitOf(b *rate.Limiter) int64 {
	if b == nil {
		return 0
	}
	return int64(b.Limit())
}

func stepOf(perSecond int64) int {
	return int(min(max(perSecond/stepsPerSecond, leastStep), mostStep))
}

// buckets returns what a party takes tokens from, in the order in which it waits for them:
// strangers that wait for their share take nothing of the whole meanwhile.
func (l *pipe) buckets(g Party) []*rate.Limiter {
	all := [2]*rate.Limiter{l.strangers, l.whole}
	from, to := 0, 2
	if g != Strangers || l.strangers == nil {
		from = 1
	}
	if l.whole == nil {
		to = 1
	}
	return all[from:max(from, to)]
}

// lends reports whether something may pass without waiting, because not too much has yet.
func (l *pipe) lends(now time.Time, g Party) bool {
	most := lentToStrangers
	if g == Members {
		most = lentToMembers
	}
	for _, b := range l.buckets(g) {
		if b.TokensAt(now) < -float64(b.Limit())*most.Seconds() {
			return false
		}
	}
	return true
}

// owe takes n tokens without waiting.
func (l *pipe) owe(now time.Time, g Party, n int) {
	for _, b := range l.buckets(g) {
		for left := n; left > 0; left -= b.Burst() {
			b.ReserveN(now, min(left, b.Burst()))
		}
	}
	l.passed[g].add(now, n)
}

// wait waits for a turn, and in it for n tokens, which are no more than a step. It returns
// false, and takes none, when one of two channels is closed before that.
func (l *pipe) wait(g Party, n int, ended, stop <-chan struct{}) bool {
	buckets := l.buckets(g)
	if len(buckets) == 0 {
		return true
	}
	select {
	case l.turns[g] <- struct{}{}:
	case <-ended:
		return false
	case <-stop:
		return false
	}
	defer func() { <-l.turns[g] }()
	for _, b := range buckets {
		r := b.ReserveN(time.Now(), n)
		if !sleep(r.Delay(), ended, stop) {
			r.Cancel() // a step of the strangers' share may be lost, which nobody notices
			return false
		}
	}
	return true
}

// sleep waits, and reports false when a channel was closed before the time was over.
func sleep(d time.Duration, ended, stop <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ended:
		return false
	case <-stop:
		return false
	}
}
