package admission

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever comes, goes and is sent something, who was sent least is the first, and each knows its
// place.
func TestWaiters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w waiters
		some := func(t *rapid.T) *turn {
			if len(w) == 0 {
				t.Skip("nobody waits")
			}
			return rapid.SampledFrom(w).Draw(t, "who")
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				for i, one := range w {
					if one.place != i+1 || one.used < w[0].used {
						t.Fatalf("at %d is who is at %d, and was sent %d where the first was %d", i, one.place-1, one.used, w[0].used)
					}
				}
			},
			"come": func(t *rapid.T) { w.add(&turn{used: rapid.Int64Range(0, 9).Draw(t, "used")}) },
			"go": func(t *rapid.T) {
				one := some(t)
				if w.remove(one); one.place != 0 {
					t.Fatalf("who has gone is at %d", one.place)
				}
			},
			"send": func(t *rapid.T) {
				one := some(t)
				one.used += rapid.Int64Range(0, 9).Draw(t, "more")
				w.fix(one)
			},
		})
	})
}
