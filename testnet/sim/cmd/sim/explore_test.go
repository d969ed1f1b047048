package main

import (
	"strings"
	"testing"

	"github.com/decube/decube/testnet/sim"
)

func TestExplores(t *testing.T) {
	var b strings.Builder
	o := options{seed: 1, runs: 4, profile: "all", failures: 1, out: &b, each: true}
	failed, err := o.explore()
	if err != nil || failed != 0 || !strings.Contains(b.String(), "4 runs, 0 bad") || !strings.Contains(b.String(), "profile crash") {
		t.Errorf("%d bad, %v\n%s", failed, err, &b)
	}
}

func TestReplaysEventByEvent(t *testing.T) {
	var b strings.Builder
	o := options{seed: 7, runs: 1, profile: "calm", failures: 1, verbose: true, out: &b}
	if _, err := o.explore(); err != nil || !strings.Contains(b.String(), "PRE-PREPARE 0/0/1:") {
		t.Errorf("%v\n%.2000s", err, &b)
	}
}

func TestSaysHowToReplay(t *testing.T) {
	var b strings.Builder
	o := options{seed: 1, runs: 5, profile: "crash", bug: "never-syncs", failures: 1, out: &b, brief: true}
	failed, err := o.explore()
	if err != nil || failed == 0 || !strings.Contains(b.String(), "-profile crash -bug never-syncs -v") {
		t.Errorf("%d bad, %v\n%s", failed, err, &b)
	}
}

func TestUnknown(t *testing.T) {
	for _, o := range []options{
		{runs: 1, profile: "nothing", out: &strings.Builder{}},
		{runs: 1, profile: "calm", bug: "nothing", out: &strings.Builder{}},
		{runs: 1, profile: "calm", strategy: "nothing", out: &strings.Builder{}},
	} {
		if _, err := o.explore(); err == nil {
			t.Errorf("explored: %+v", o)
		}
	}
}

// Programs are given one object, and nothing beside it.
func TestSummaryOfGoodRuns(t *testing.T) {
	var b strings.Builder
	o := options{runs: 2, profile: "views", strategy: "forger", failures: 1, each: true, json: true, out: &b}
	if failed, err := o.explore(); err != nil || failed != 0 || b.String() != `{"runs":2,"found":[]}`+"\n" {
		t.Errorf("%d bad, %v: %s", failed, err, &b)
	}
}

// The first of the seeds comes first, in whatever order the runs end.
func TestSummaryOfBadRuns(t *testing.T) {
	reports := make(chan sim.Report, 3)
	for _, seed := range []uint64{9, 7, 8} {
		reports <- sim.Report{Config: sim.Config{Seed: seed, Profile: "calm"}, Violation: &sim.Violation{Rule: "S5", What: "why"}}
	}
	close(reports)
	var b strings.Builder
	stop := make(chan struct{})
	o := options{failures: 2, json: true, out: &b}
	failed, err := o.collect(reports, stop)
	want := `{"runs":3,"found":[` +
		`{"profile":"calm","seed":7,"rule":"S5","what":"why"},` +
		`{"profile":"calm","seed":8,"rule":"S5","what":"why"},` +
		`{"profile":"calm","seed":9,"rule":"S5","what":"why"}]}` + "\n"
	if err != nil || failed != 3 || b.String() != want {
		t.Errorf("%d bad, %v: %s", failed, err, &b)
	}
	select {
	case <-stop:
	default:
		t.Error("not stopped after two bad runs")
	}
}

func TestReplaySaysTheStrategy(t *testing.T) {
	var b strings.Builder
	reports := make(chan sim.Report, 1)
	reports <- sim.Report{Config: sim.Config{Seed: 7, Profile: "calm"}, Violation: &sim.Violation{Rule: "S5"}}
	close(reports)
	o := options{failures: 1, strategy: "forger", out: &b}
	if _, err := o.collect(reports, make(chan struct{})); err != nil || !strings.Contains(b.String(), "-seed 7 -profile calm -strategy forger -v\n") {
		t.Errorf("%v: %s", err, &b)
	}
}
