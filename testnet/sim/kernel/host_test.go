package kernel

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What a program has put off happens while it runs, and not after it has stopped.
func TestHostStops(t *testing.T) {
	var s Scheduler
	h := NewHost(&s)
	var got []string
	put := func(what string) { h.After(10, func() { got = append(got, what) }) }
	put("before the first life")
	h.Start()
	put("first life")
	s.RunUntil(5)
	h.Stop()
	put("between lives")
	h.Run(func() { got = append(got, "while down") })
	h.Start()
	put("second life")
	s.RunUntil(100)
	if !slices.Equal(got, []string{"second life"}) {
		t.Errorf("%q", got)
	}
	if h.Stop(); h.Up() {
		t.Error("up after Stop")
	}
}

// A pause holds everything up, in order; a stop or another pause among what was held
// concerns what is behind it.
func TestHostPauses(t *testing.T) {
	var s Scheduler
	h := NewHost(&s)
	h.Start()
	var got []int
	h.After(1, func() { got = append(got, 1) })
	h.After(2, func() {
		got = append(got, 2)
		h.Pause()
	})
	h.After(3, func() { got = append(got, 3) })
	h.Pause()
	s.RunUntil(50)
	if len(got) != 0 {
		t.Fatalf("%v happened in a pause", got)
	}
	h.Resume()
	if !slices.Equal(got, []int{1, 2}) || !h.Paused() {
		t.Errorf("%v, paused %v", got, h.Paused())
	}
	h.Run(func() {
		got = append(got, 4)
		h.Stop()
	})
	h.Run(func() { got = append(got, 5) })
	h.Resume()
	if !slices.Equal(got, []int{1, 2, 3, 4}) || h.Up() {
		t.Errorf("%v, up %v", got, h.Up())
	}
}

// An alarm goes off at the first instant at which its clock shows the time, however
// the clock's rate changes meanwhile, and once.
func TestAlarmsFollowTheirClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Scheduler
		c := NewClock(&s, 0)
		var at, shown Time
		rung := 0
		var before Time // what the clock showed at the instant before
		a := c.NewAlarm(func() { at, shown, rung = s.Now(), c.Monotonic(), rung+1 })
		wanted := Time(rapid.IntRange(0, 500).Draw(t, "alarm"))
		a.Set(wanted)
		for i := range Time(2000) {
			if rung == 0 {
				before = c.Monotonic()
			}
			s.RunUntil(i)
			if rung > 0 {
				break
			}
			switch rapid.IntRange(0, 40).Draw(t, "change") {
			case 0:
				c.SetRate(rapid.Int64Range(300_000, 3_000_000).Draw(t, "rate"))
			case 1:
				c.Advance(Time(rapid.IntRange(0, 100).Draw(t, "by")))
				s.RunUntil(i) // it is due now if the clock has passed it
			case 2:
				c.Jump(Time(rapid.IntRange(-100, 100).Draw(t, "jump")))
			case 3:
				a.Set(wanted)
			}
			if rung > 0 {
				break
			}
		}
		s.RunUntil(10_000)
		if rung != 1 || shown < wanted || before >= wanted && wanted > 0 {
			t.Fatalf("rung %d times, at %v, when the clock showed %v after %v; set to %v", rung, at, shown, before, wanted)
		}
	})
}

func TestAlarmsAreSetAnewAndCleared(t *testing.T) {
	var s Scheduler
	c := NewClock(&s, 0)
	var rung []Time
	a := c.NewAlarm(func() { rung = append(rung, s.Now()) })
	a.Set(30)
	a.Set(10)
	s.RunUntil(20)
	a.Set(5) // has passed
	s.RunUntil(40)
	a.Set(50)
	a.Clear()
	a.Clear()
	c.SetRate(2_000_000)
	s.RunUntil(100)
	if !slices.Equal(rung, []Time{10, 20}) {
		t.Errorf("rung at %v", rung)
	}
}

// Wall time jumps; monotonic time never goes back.
func TestClock(t *testing.T) {
	var s Scheduler
	s.RunUntil(100)
	c := NewClock(&s, 1000)
	if c.Monotonic() != 100 || c.Wall() != 1100 {
		t.Errorf("%v and %v", c.Monotonic(), c.Wall())
	}
	c.Jump(-1050)
	c.SetRate(500_000)
	s.RunUntil(200)
	if c.Monotonic() != 150 || c.Wall() != 100 {
		t.Errorf("at half the rate: %v and %v", c.Monotonic(), c.Wall())
	}
	c.SetRate(3_000_000)
	c.Advance(7)
	c.Advance(-500)
	s.RunUntil(210)
	c.SetWall(5)
	if c.Monotonic() != 187 || c.Wall() != 5 {
		t.Errorf("at three times the rate: %v and %v", c.Monotonic(), c.Wall())
	}
}
