package sim

import (
	"slices"
	"testing"
)

func TestFindsPlantedBugs(t *testing.T) {
	for _, b := range Bugs() {
		t.Run(b.Name, func(t *testing.T) { find(t, &b) })
	}
}

// find explores until the oracle finds a planted bug, and checks by which rule.
func find(t *testing.T, b *Bug) {
	t.Helper()
	for seed := range b.Seeds {
		c := draw(t, b.Profile, seed)
		c.Bug = b
		r := Run(c)
		if r.Violation == nil {
			continue
		}
		t.Logf("seed %d: %v", seed, r.Violation)
		if !slices.Contains(b.Rules, r.Violation.Rule) {
			t.Errorf("%s was found by %s, want one of %v\n%s", b.What, r.Violation.Rule, b.Rules, r.Trace)
		}
		return
	}
	t.Errorf("%d seeds of profile %s do not show that %s", b.Seeds, b.Profile, b.What)
}
