package sim

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// sample is how many seeds of each profile are run.
const sample = 2

func TestProfiles(t *testing.T) {
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			seeds := uint64(sample)
			if testing.Short() {
				seeds = 1
			}
			for seed := uint64(1); seed <= seeds; seed++ {
				cfg, err := Draw(p.Name, seed)
				if err != nil {
					t.Fatal(err)
				}
				if r := Run(cfg); r.Violation != nil {
					t.Errorf("%s\n%v", tail(r.Trace), r.Err())
				} else if r.Stats.Blocks == 0 || r.Stats.Requests == 0 {
					t.Errorf("nothing happened: %v", &r.Stats)
				}
			}
		})
	}
}

// tail returns the last lines of a trace.
func tail(trace string) string {
	lines := strings.Split(trace, "\n")
	return strings.Join(lines[max(0, len(lines)-200):], "\n")
}

// What is simulated depends on the seed alone: not on maps, goroutines or clocks.
func TestSameSeedSameRun(t *testing.T) {
	for _, profile := range []string{"churn-epochs", "followers", "transfer", "byzantine", "mixed", "twins", "fork"} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			var first, second bytes.Buffer
			for _, out := range []*bytes.Buffer{&first, &second} {
				cfg, err := Draw(profile, 11)
				if err != nil {
					t.Fatal(err)
				}
				cfg.Trace = out
				Run(cfg)
			}
			if bytes.Equal(first.Bytes(), second.Bytes()) {
				return
			}
			a, b := strings.Split(first.String(), "\n"), strings.Split(second.String(), "\n")
			for i := range min(len(a), len(b)) {
				if a[i] != b[i] {
					t.Fatalf("line %d is another one:\n%s\n%s", i, a[i], b[i])
				}
			}
			t.Fatalf("%d lines, and then %d", len(a), len(b))
		})
	}
}

// The oracle finds what is planted, within so many seeds.
func TestFindsBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("a planted bug may take dozens of seeds: the whole run has them")
	}
	for _, bug := range Bugs() {
		t.Run(bug.Name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(bug.Seeds) {
				cfg, err := Draw(bug.Profile, seed+1)
				if err != nil {
					t.Fatal(err)
				}
				cfg.Bug = &bug
				r := Run(cfg)
				if r.Violation == nil {
					continue
				}
				if !slices.Contains(bug.Rules, r.Violation.Rule) {
					t.Errorf("found by another rule: %v", r.Err())
				}
				return
			}
			t.Errorf("not found in %d seeds of %s: %s", bug.Seeds, bug.Profile, bug.What)
		})
	}
}

// Nodes that come late fetch a state, those whose log is lost take their places anew, and
// committees change: the profiles do what they are there for.
func TestProfilesReachWhatTheyAreFor(t *testing.T) {
	for _, c := range []struct {
		profile string
		enough  func(s *Stats) bool
	}{
		{"transfer", func(s *Stats) bool { return s.Installed > 0 }},
		{"wipe", func(s *Stats) bool { return s.Recovered > 0 && s.Epochs > 1 }},
		{"epochs", func(s *Stats) bool { return s.Epochs > 1 }},
		{"views", func(s *Stats) bool { return s.ViewChanges > 4 }},
		{"churn", func(s *Stats) bool { return s.Crashes > 4 && s.ViewChanges > 4 }},
		{"renew", func(s *Stats) bool { return s.Epochs > 3 }},
		{"far-epochs", func(s *Stats) bool { return s.Epochs > 9 }},
		{"patience", func(s *Stats) bool { return s.Probe > 0 && s.ViewChanges > 4 }},
		{"fork", func(s *Stats) bool { return s.Forks > 0 }},
		{"slow", func(s *Stats) bool { return s.ViewChanges > 1 }},
		{"calm", func(s *Stats) bool { return s.Probe > 0 && s.Evidence == 0 && s.Dropped == 0 }},
	} {
		t.Run(c.profile, func(t *testing.T) {
			t.Parallel()
			var all Stats
			for seed := uint64(1); seed <= 3; seed++ {
				cfg, err := Draw(c.profile, seed)
				if err != nil {
					t.Fatal(err)
				}
				r := Run(cfg)
				all.Add(&r.Stats)
			}
			if !c.enough(&all) {
				t.Errorf("not in three seeds: %v", &all)
			}
		})
	}
}

func TestUnknownProfile(t *testing.T) {
	if _, err := Draw("nothing", 1); err == nil {
		t.Error("drawn")
	}
}

func TestQuorums(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 10: 7} {
		if got := quorumOf(n); got != want {
			t.Errorf("a quorum of %d is %d, want %d", n, got, want)
		}
	}
}
