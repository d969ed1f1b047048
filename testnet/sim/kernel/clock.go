package kernel

import "slices"

// Clock is the clock of one machine. Its monotonic time runs fast or slow and never
// back; its wall time is that and an offset, which jumps either way.
type Clock struct {
	scheduler *Scheduler
	rate      int64 // in millionths of the true rate
	since     Time  // true time of the last change
	mono      Time  // then
	offset    Time
	alarms    []*Alarm // that are set, in the order in which they were made
}

// trueRate is the rate of a clock that runs true.
const trueRate = 1_000_000

// NewClock returns a clock that runs true, whose monotonic time is the time of the
// run, and whose wall time is ahead of that by offset.
func NewClock(s *Scheduler, offset Time) *Clock {
	return &Clock{scheduler: s, rate: trueRate, since: s.Now(), mono: s.Now(), offset: offset}
}

// Monotonic returns the monotonic time.
func (c *Clock) Monotonic() Time {
	return c.mono + scale(c.scheduler.Now()-c.since, c.rate, trueRate)
}

// Wall returns the wall time.
func (c *Clock) Wall() Time { return c.Monotonic() + c.offset }

// SetRate has both times run at a rate in millionths of the true one, at least 1.
func (c *Clock) SetRate(millionths int64) {
	c.mark()
	c.rate = max(1, millionths)
	c.rearm()
}

// Advance moves both times forward at once, as a clock does that counts the time in
// which its machine slept. A negative time is none.
func (c *Clock) Advance(d Time) {
	c.mark()
	c.mono += max(0, d)
	c.rearm()
}

// Jump moves wall time, forward or back, as an operator or a time server does. No
// alarm depends on it.
func (c *Clock) Jump(d Time) { c.offset += d }

// SetWall sets wall time.
func (c *Clock) SetWall(t Time) { c.offset = t - c.Monotonic() }

// mark has the present rate count up to now.
func (c *Clock) mark() {
	c.mono, c.since = c.Monotonic(), c.scheduler.Now()
}

// when returns the first true time at which the clock shows a monotonic time.
func (c *Clock) when(mono Time) Time {
	if mono <= c.mono {
		return c.since
	}
	return c.since + scaleUp(mono-c.mono, trueRate, c.rate)
}

// scale returns t*num/den rounded down, without overflow where the result has none.
func scale(t Time, num, den int64) Time {
	return t/Time(den)*Time(num) + t%Time(den)*Time(num)/Time(den)
}

// scaleUp is scale, rounded up.
func scaleUp(t Time, num, den int64) Time {
	whole, rest := t/Time(den), t%Time(den)
	return whole*Time(num) + (rest*Time(num)+Time(den)-1)/Time(den)
}

func (c *Clock) rearm() {
	for _, a := range c.alarms {
		a.arm()
	}
}

// Alarm does something when a clock shows a time, once for each time it is set.
type Alarm struct {
	clock *Clock
	do    func()
	set   bool
	at    Time // monotonic
	armed int  // counts arms: an event of an older one does nothing
}

// NewAlarm returns an alarm that is not set. It knows of no pause: see Host.Run.
func (c *Clock) NewAlarm(do func()) *Alarm { return &Alarm{clock: c, do: do} }

// Set has the alarm go off when the clock's monotonic time reaches at, or next if it
// has, in place of what was set before.
func (a *Alarm) Set(at Time) {
	if a.set && a.at == at {
		return
	}
	if !a.set {
		a.clock.alarms = append(a.clock.alarms, a)
	}
	a.set, a.at = true, at
	a.arm()
}

// Clear has the alarm not go off.
func (a *Alarm) Clear() {
	if !a.set {
		return
	}
	a.set = false
	a.armed++
	i := slices.Index(a.clock.alarms, a)
	a.clock.alarms = slices.Delete(a.clock.alarms, i, i+1)
}

func (a *Alarm) arm() {
	a.armed++
	armed := a.armed
	a.clock.scheduler.At(a.clock.when(a.at), func() {
		if a.armed == armed {
			a.Clear()
			a.do()
		}
	})
}
