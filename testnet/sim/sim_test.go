package sim

import (
	"slices"
	"strings"
	"testing"
)

func draw(t *testing.T, profile string, seed uint64) Config {
	t.Helper()
	c, err := Draw(profile, seed)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSameSeedSameRun(t *testing.T) {
	for _, p := range Profiles() {
		var first string
		for i := range 2 {
			c := draw(t, p.Name, 1)
			c.Load = min(c.Load, Second)
			var b strings.Builder
			c.Trace = &b
			Run(c)
			if i == 0 {
				first = b.String()
			} else if first != b.String() {
				t.Errorf("%s: the same seed gave two runs", p.Name)
			}
		}
	}
}

// Every profile, for more than a thousand seeds in all.
func TestProfiles(t *testing.T) {
	heavy := map[string]uint64{
		"clients": 30, "slow": 12, "patience": 30, "censor": 20, "clock": 60,
		"churn-epochs": 40, "wrong-clocks": 40, "liars": 40, "renew": 12, "far-epochs": 10,
	}
	for _, p := range Profiles() {
		seeds := uint64(90)
		if n, ok := heavy[p.Name]; ok {
			seeds = n
		}
		if testing.Short() {
			seeds = seeds/10 + 1
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			total := Stats{}
			for seed := range seeds {
				r := Run(draw(t, p.Name, seed))
				total.Add(&r.Stats)
				if err := r.Err(); err != nil {
					t.Fatalf("%v\n%s", err, r.Trace)
				}
			}
			t.Logf("%d runs: %v", seeds, &total)
		})
	}
}

// The simulator's own signatures stand for real ones.
func TestEd25519(t *testing.T) {
	c := draw(t, "byzantine", 3)
	c.Ed25519 = true
	c.GST, c.Load = 500*Millisecond, 200*Millisecond
	if r := Run(c); r.Err() != nil {
		t.Error(r.Err())
	}
}

func TestUnknownProfile(t *testing.T) {
	if _, err := Draw("nothing", 1); err == nil {
		t.Error("drawn")
	}
}

func TestCorruptFaulty(t *testing.T) {
	for seed := range uint64(40) {
		c := draw(t, "views", seed)
		if err := c.Corrupt("forger"); err != nil {
			t.Fatal(err)
		}
		if len(c.Faulty) != maxFaulty(c.Replicas) {
			t.Errorf("seed %d: %d of %d replicas are faulty", seed, len(c.Faulty), c.Replicas)
		}
		places := map[int]bool{}
		for _, f := range c.Faulty {
			if f.Strategy != "forger" || f.Identity < 0 || f.Identity >= c.Replicas || places[f.Identity] {
				t.Errorf("seed %d: %v among %d replicas", seed, c.Faulty, c.Replicas)
			}
			places[f.Identity] = true
		}
	}
	c := draw(t, "views", 1)
	before := slices.Clone(c.Faulty)
	if err := c.Corrupt("nothing"); err == nil || !slices.Equal(before, c.Faulty) {
		t.Errorf("an unknown strategy: %v, faulty %v", err, c.Faulty)
	}
}
