package exchange

import (
	"slices"
	"testing"
	"time"
)

// With honest peers among up to 150 that stall, drip, lie and promise, from up to 20 networks
// and in those of the honest too, a fetch is done not long after it would be without them,
// and the next one of the same peer sooner still.
func TestFetchAmongVillains(t *testing.T) {
	var first, second time.Duration
	seeds := uint64(150)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		c := newConduct()
		actors, alone := cast(seed)
		s := newSim(t, c, simStart, 64, actors)
		took := s.fetch(5 * time.Minute)
		if most := 3*alone + 12*time.Second; took > most {
			t.Errorf("seed %d: %v among %d peers, %v without the others", seed, took, len(actors), alone)
		}
		first = max(first, took-alone)
		s = newSim(t, c, s.now.Add(10*time.Second), 64, actors)
		took = s.fetch(5 * time.Minute)
		if most := 3*alone + 6*time.Second; took > most {
			t.Errorf("seed %d: %v the second time among %d peers, %v without the others", seed, took, len(actors), alone)
		}
		second = max(second, took-alone)
	}
	t.Logf("at most %v longer than without villains, and %v the second time", first, second)
}

// The same seed decides the same, event by event.
func TestFetchReplays(t *testing.T) {
	run := func() []string {
		actors, _ := cast(11)
		s := newSim(t, newConduct(), simStart, 64, actors)
		s.fetch(time.Minute)
		return s.trace
	}
	once, again := run(), run()
	if len(once) == 0 || !slices.Equal(once, again) {
		t.Errorf("%d events, then %d", len(once), len(again))
	}
}
