package bandwidth

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/decube/decube/internal/admission"
)

const (
	// mostTalk is what a connection may send, and receive, at once without waiting: a
	// handshake, and who both sides are. It comes back at a part of the bound.
	mostTalk, talkPart = 16 << 10, 64
	// newcomersTalk is the same for all together of whom nothing is known yet.
	newcomersTalk, newcomersPart = 64 << 10, 4
)

// Valve is what passes over one connection in both directions. It is safe for concurrent use.
type Valve struct {
	of    *Limiter
	class atomic.Pointer[func() admission.Class]
	talk  [directions]talk
	ended chan struct{}
	end   func()
}

// Valve returns the valve of a new connection, which is a stranger's.
func (m *Limiter) Valve() *Valve { return m.valve(mostTalk, talkPart) }

// Newcomers returns the valve of all whose connection cannot be told yet. It ends with all else.
func (m *Limiter) Newcomers() *Valve { return m.newcomers }

func (m *Limiter) valve(most int, part int64) *Valve {
	v := &Valve{of: m, ended: make(chan struct{})}
	v.end = sync.OnceFunc(func() { close(v.ended) })
	for d, l := range m.pipes {
		t := &v.talk[d]
		t.left, t.most = float64(most), float64(most)
		if b := l.buckets(Strangers); len(b) > 0 {
			t.perSecond = float64(limitOf(b[0]) / part)
		}
	}
	return v
}

// Belongs says whose connection it is: class is asked before each step, since it may change.
func (v *Valve) Belongs(class func() admission.Class) { v.class.Store(&class) }

// Party returns the party of who the connection is with.
func (v *Valve) Party() Party {
	class := v.class.Load()
	if class == nil {
		return Strangers
	}
	return PartyOf((*class)())
}

// Step returns how many bytes are best passed at a time.
func (v *Valve) Step(d Direction) int { return v.of.pipes[d].steps[v.Party()] }

// Pass waits until n bytes may pass, and counts them as they may. It returns false at once
// when the valve has ended, and as soon as it does, or stop is closed, while it waits. Stop may
// be nil.
func (v *Valve) Pass(d Direction, n int, stop <-chan struct{}) bool {
	if v.Try(d, n) {
		return true
	}
	l := v.of.pipes[d]
	for left := n; left > 0; {
		g := v.Party()
		step := min(left, l.steps[g])
		if !l.wait(g, step, v.ended, stop) {
			return false
		}
		now := time.Now()
		v.talk[d].none(now)
		l.passed[g].add(now, step)
		left -= step
	}
	return true
}

// Try passes n bytes if they need not wait, and counts them.
func (v *Valve) Try(d Direction, n int) bool {
	select {
	case <-v.ended:
		return false
	default:
	}
	l, g, now := v.of.pipes[d], v.Party(), time.Now()
	if len(l.buckets(g)) > 0 && (!l.lends(now, g) || !v.talk[d].allow(now, n)) {
		return false
	}
	l.owe(now, g, n)
	return true
}

// Owe counts n bytes that pass whether they may or not: the last ones of a connection.
func (v *Valve) Owe(d Direction, n int) { v.of.pipes[d].owe(time.Now(), v.Party(), n) }

// End ends all waiting, now and from now on. It may be called again.
func (v *Valve) End() { v.end() }

// talk is what passes without waiting. It is safe for concurrent use.
type talk struct {
	most, perSecond float64
	shared          bool // by connections that do not answer for each other

	mu   sync.Mutex
	left float64
	at   time.Time // of left; the zero time until something has passed
}

// allow takes n bytes, if there are as many.
func (t *talk) allow(now time.Time, n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.at.IsZero() {
		t.left = min(t.most, t.left+t.perSecond*max(0, now.Sub(t.at).Seconds()))
	}
	t.at = now
	if t.left < float64(n) {
		return false
	}
	t.left -= float64(n)
	return true
}

// none takes all that is left: what is large has no talk beside it, or many connections that
// are at it would have their bounds once more as talk.
func (t *talk) none(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.shared {
		t.left, t.at = 0, now
	}
}
