package crdtsync

import (
	"fmt"
	"testing"
	"time"
)

// Whoever floods has its own budget, and leaves that of others alone; many who flood together
// have what all may have.
func TestBudgets(t *testing.T) {
	b := newBudgets()
	start := time.Unix(0, 0)
	taken := map[string]int{}
	for ms := range 10_000 {
		now := start.Add(time.Duration(ms) * time.Millisecond)
		for range 10 {
			if b.allow(now, "flood", 1000) {
				taken["flood"] += 1000
			}
		}
		if ms%10 == 0 && b.allow(now, "honest", 1000) {
			taken["honest"]++
		}
	}
	if most := publishedAtOnce + 10*published; taken["flood"] > most || taken["flood"] < most*9/10 || taken["honest"] != 1000 {
		t.Errorf("%v taken in 10 s, of which a flood may have %d bytes", taken, most)
	}
	b = newBudgets()
	all := 0
	for ms := range 10_000 {
		now := start.Add(time.Duration(ms) * time.Millisecond)
		for i := range 20 {
			if b.allow(now, fmt.Sprint(ms%8000, i), 10) { // each is another one
				all += leastCost
			}
		}
	}
	if most := publishedByAllAtOnce + 10*publishedByAll; all > most || len(b.of) > mostBudgets {
		t.Errorf("%d bytes of all in 10 s, of %d; %d peers are told apart", all, most, len(b.of))
	}
}
