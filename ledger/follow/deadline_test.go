package follow

import (
	"testing"
	"time"
)

// A follower that has nobody to ask for now is called again later, and not at once.
func TestDeadlineIsAhead(t *testing.T) {
	for name, why := range map[string]End{"broken": Broken, "malformed": Malformed} {
		for _, voting := range []bool{false, true} {
			f := New(Config{TransferAfter: 100, LargestBlock: 1 << 20}, Place{})
			now, steps := time.Duration(0), 0
			var step func(Event)
			step = func(e Event) {
				for _, a := range f.Step(now, e) {
					if ask, ok := a.(Ask); ok {
						step(Ended{Ask: ask.Ask, Why: why})
					}
				}
			}
			step(Role{Voting: voting})
			step(Sources{Names: []string{"a", "b"}})
			for now < time.Minute {
				if steps++; steps > 10_000 {
					t.Fatalf("%s, voting %t: %d steps until %v, the next one at %v", name, voting, steps, now, f.Deadline())
				}
				now = max(now, f.Deadline())
				step(nil)
			}
		}
	}
}
