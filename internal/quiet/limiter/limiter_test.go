package limiter_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/quiet/limiter"
)

const minute = time.Minute

func TestOneLineAMinuteTellsOfThoseBetween(t *testing.T) {
	l := limiter.New(minute, 10)
	var at time.Time
	for i := range 20_000 {
		held, ok := l.Allow(at.Add(time.Duration(i)*time.Millisecond), "invalid", "a")
		if ok != (i == 0) || held != 0 {
			t.Fatalf("line %d: %d held back, %v", i, held, ok)
		}
	}
	if held, ok := l.Allow(at.Add(minute), "invalid", "a"); !ok || held != 19_999 {
		t.Errorf("after a minute: %d held back, %v", held, ok)
	}
	for _, other := range [][2]string{{"invalid", "b"}, {"late", "a"}} {
		if _, ok := l.Allow(at.Add(minute), other[0], other[1]); !ok {
			t.Errorf("%v is held back by others", other)
		}
	}
}

// However many peers and kinds there are, what is let through in an interval is bounded,
// and every line is let through or told of, or its entry was forgotten.
func TestLinesAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 8).Draw(t, "most")
		l := limiter.New(minute, most)
		var at, since time.Time
		let := 0
		for range rapid.IntRange(1, 300).Draw(t, "lines") {
			at = at.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "seconds")) * time.Second)
			if at.Sub(since) >= minute {
				since, let = at, 0
			}
			kind := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "kind"))
			if _, ok := l.Allow(at, kind, fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "peer"))); ok {
				let++
			}
			// An entry lets one through in each interval, of which a window of one minute
			// touches two; one that is forgotten may be made anew.
			if let > 2*(most+1) {
				t.Fatalf("%d lines within %v, with room for %d", let, at.Sub(since), most)
			}
		}
	})
}
