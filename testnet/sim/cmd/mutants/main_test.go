package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/testnet/sim/mutants"
)

func TestChoose(t *testing.T) {
	all, err := choose(nil)
	if err != nil || len(all) < 2 {
		t.Fatalf("%d mutants, %v", len(all), err)
	}
	last := all[len(all)-1].Name
	if got, err := choose([]string{last}); err != nil || len(got) != 1 || got[0].Name != last {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose([]string{last, "nothing"}); err == nil {
		t.Error("an unknown mutant was chosen")
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	rows := []row{
		{Mutant: mutants.Mutant{Name: "one", Profile: "calm", Seeds: 20}, found: mutants.Finding{Seed: 3, Rule: "S5"}, took: 1234 * time.Millisecond},
		{Mutant: mutants.Mutant{Name: "other", Profile: "crash", Seeds: 300}, err: errors.New("missed")},
	}
	if err := table(&b, rows); err != nil {
		t.Fatal(err)
	}
	want := `
MUTANT  PROFILE  SEEDS  AT SEED  RULE  OUTCOME  TIME
one     calm     20     3        S5    found    1.2s
other   crash    300    -        -     MISSED   0s
1 of 2 mutants found
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}
