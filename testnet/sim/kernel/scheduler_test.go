package kernel

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Events happen in the order of their times, and of the calls where these are equal,
// also those that are asked for by events.
func TestEventsAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Scheduler
		type want struct {
			at Time
			i  int
		}
		var all, got []want
		var add func(depth int)
		add = func(depth int) {
			w := want{s.Now() + Time(rapid.IntRange(0, 5).Draw(t, "delay")), len(all)}
			all = append(all, w)
			s.At(w.at, func() {
				got = append(got, want{s.Now(), w.i})
				for range rapid.IntRange(0, depth).Draw(t, "more") {
					add(depth - 1)
				}
			})
		}
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			add(3)
		}
		for s.Step() {
			continue
		}
		slices.SortStableFunc(all, func(a, b want) int { return int(a.at - b.at) })
		if !slices.Equal(got, all) || s.Events() != len(all) || s.Waiting() != 0 {
			t.Fatalf("%v, want %v", got, all)
		}
	})
}

func TestThePastIsNow(t *testing.T) {
	var s Scheduler
	var at []Time
	note := func() { at = append(at, s.Now()) }
	s.After(10, func() {
		s.At(3, note)
		s.After(-4, note)
		s.After(0, note)
	})
	s.RunUntil(100)
	if !slices.Equal(at, []Time{10, 10, 10}) || s.Now() != 100 {
		t.Errorf("%v, then it is %v", at, s.Now())
	}
}

func TestRunUntil(t *testing.T) {
	var s Scheduler
	happened := 0
	for d := range Time(10) {
		s.After(d*10, func() { happened++ })
	}
	s.RunUntil(50)
	next, ok := s.Next()
	if happened != 6 || s.Waiting() != 4 || next != 60 || !ok {
		t.Errorf("%d happened, %d wait, the next at %v", happened, s.Waiting(), next)
	}
	s.RunUntil(40) // is over
	if s.Now() != 50 {
		t.Errorf("time went back to %v", s.Now())
	}
}

func TestTimeString(t *testing.T) {
	for d, want := range map[Time]string{0: "0.000", 1234567: "1234.567", -1500118: "-1500.118", -3: "-0.003"} {
		if got := d.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Streams depend on seed and name, and on nothing else.
func TestStreams(t *testing.T) {
	seen := map[uint64]string{}
	for seed := range uint64(50) {
		for _, name := range []string{"net", "disk", "net2", ""} {
			v := Stream(seed, name).Uint64()
			if v != Stream(seed, name).Uint64() {
				t.Fatalf("seed %d, %q: not the same twice", seed, name)
			}
			if other, have := seen[v]; have {
				t.Fatalf("%q begins as %q does", name, other)
			}
			seen[v] = name
		}
	}
}

func TestBetween(t *testing.T) {
	rnd := Stream(1, "test")
	seen := map[Time]bool{}
	for range 1000 {
		seen[Between(rnd, 3, 7)] = true
	}
	if len(seen) != 5 || !seen[3] || !seen[7] {
		t.Errorf("drawn: %v", seen)
	}
	if Between(rnd, 9, 2) != 9 {
		t.Error("an empty range is not its beginning")
	}
}
