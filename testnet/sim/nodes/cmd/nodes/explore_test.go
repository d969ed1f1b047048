package main

import (
	"strings"
	"testing"
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
	} {
		if _, err := o.explore(); err == nil {
			t.Errorf("explored: %+v", o)
		}
	}
}
