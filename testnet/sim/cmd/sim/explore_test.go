package main

import (
	"strings"
	"testing"
)

func TestExplores(t *testing.T) {
	var b strings.Builder
	o := options{seed: 1, runs: 15, profile: "all", failures: 1, out: &b, each: true}
	failed, err := o.explore()
	if err != nil || failed != 0 || !strings.Contains(b.String(), "runs, 0 bad") || !strings.Contains(b.String(), "profile byzantine") {
		t.Errorf("%d bad, %v\n%s", failed, err, &b)
	}
}

func TestReplaysEventByEvent(t *testing.T) {
	var b strings.Builder
	o := options{seed: 7, runs: 1, profile: "calm", failures: 1, verbose: true, out: &b}
	if _, err := o.explore(); err != nil || !strings.Contains(b.String(), "says PRE-PREPARE 1/0/1:") {
		t.Errorf("%v\n%.2000s", err, &b)
	}
}

func TestUnknownProfile(t *testing.T) {
	o := options{runs: 1, profile: "nothing", out: &strings.Builder{}}
	if _, err := o.explore(); err == nil {
		t.Error("explored")
	}
}
