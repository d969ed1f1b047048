package bench

import "testing"

func operation(name string, seconds ...float64) *Operation {
	o := &Operation{System: "decube", Name: name}
	for _, s := range seconds {
		o.Samples = append(o.Samples, Sample{Seconds: s, CPUSeconds: 1})
	}
	return o
}

func TestCompare(t *testing.T) {
	before := &Document{Operations: []*Operation{
		operation("faster", 1.00, 1.01, 1.02, 1.03, 1.04),
		operation("slower", 1.00, 1.01, 1.02, 1.03, 1.04),
		operation("noise", 1.00, 1.30, 1.10, 1.20, 1.05),
		operation("few", 1, 1, 1),
		operation("gone", 1, 2, 3),
		{System: "decube", Name: "no samples"},
	}}
	after := &Document{Operations: []*Operation{
		operation("new", 1, 2, 3),
		operation("faster", 0.90, 0.91, 0.92, 0.93, 0.94),
		operation("slower", 1.10, 1.11, 1.12, 1.13, 1.14),
		operation("noise", 1.02, 1.25, 1.12, 1.22, 1.01),
		operation("few", 2, 2, 2),
	}}
	want := map[string]string{
		"decube faster seconds": Better, "decube faster cpu_seconds": Same,
		"decube slower seconds": Worse, "decube slower cpu_seconds": Same,
		"decube noise seconds": Same, "decube noise cpu_seconds": Same,
		"decube few seconds": TooFew, "decube few cpu_seconds": TooFew,
		"decube gone seconds": OnlyOld, "decube new seconds": OnlyNew,
	}
	got := Compare(before, after)
	for _, c := range got {
		key := c.Operation + " " + c.Metric
		if c.Verdict != want[key] {
			t.Errorf("%s: %q (p = %.3f), want %q", key, c.Verdict, c.P, want[key])
		}
		delete(want, key)
	}
	for key := range want {
		t.Errorf("%s is missing", key)
	}
}

func TestLeastSignificance(t *testing.T) {
	if p := leastP(3, 3); p != 0.1 {
		t.Errorf("3 and 3 samples: %v, want 0.1", p)
	}
	if p, want := leastP(4, 4), 2.0/70; p != want {
		t.Errorf("4 and 4 samples: %v, want %v", p, want)
	}
}

func TestIncomparable(t *testing.T) {
	a := &Document{Machine: Machine{CPU: "x", Cores: 2}, Limits: Limits{L: 1}}
	b := &Document{Machine: Machine{CPU: "x", Cores: 2}, Limits: Limits{L: 1.1}}
	if why := Incomparable(a, b); why != "" {
		t.Errorf("like runs: %s", why)
	}
	b.Limits.L = 1.3
	if Incomparable(a, b) == "" {
		t.Error("a disk that is 30% slower was not noticed")
	}
	b.Limits.L, b.Machine.Cores = 1, 4
	if Incomparable(a, b) == "" {
		t.Error("another machine was not noticed")
	}
}
