package mutants

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/decube/decube/testnet/sim"
)

const header = "what: it fails\nprofile: calm\nrules: S1 L2\nseeds: 20\n"

const pair = "-- ledger/pbft/carry.go old --\na\n-- ledger/pbft/carry.go new --\nb\n"

func TestParse(t *testing.T) {
	text := "what: colons: are allowed\nprofile: views\n\nstrategy: forger\nrules: S1 L2\nseeds: 3000\nrare: true\n" + pair +
		"-- ledger/a.go old --\nx\ny\n-- ledger/a.go new --\n" + pair
	m, err := Parse("some", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "some" || m.What != "colons: are allowed" || m.Profile != "views" || m.Strategy != "forger" ||
		m.Seeds != 3000 || !m.Rare || !slices.Equal(m.Rules, []string{"S1", "L2"}) {
		t.Errorf("%+v", m)
	}
	carry := Edit{"ledger/pbft/carry.go", "a\n", "b\n"}
	if want := []Edit{carry, {"ledger/a.go", "x\ny\n", ""}, carry}; !slices.Equal(m.Edits, want) {
		t.Errorf("edits %q, want %q", m.Edits, want)
	}
	if want := []string{"./ledger", "./ledger/pbft"}; !slices.Equal(m.Packages(), want) {
		t.Errorf("packages %q, want %q", m.Packages(), want)
	}
}

func TestParseRefuses(t *testing.T) {
	swap := func(old, with string) string {
		if !strings.Contains(header+pair, old) {
			t.Fatalf("%q is not there", old)
		}
		return strings.Replace(header+pair, old, with, 1)
	}
	for name, text := range map[string]string{
		"nothing":                      "",
		"no edit":                      header,
		"no header":                    pair,
		"no reason":                    swap("what: it fails\n", ""),
		"an empty reason":              swap("what: it fails", "what:"),
		"no profile":                   swap("profile: calm\n", ""),
		"no rules":                     swap("rules: S1 L2\n", ""),
		"no seeds":                     swap("seeds: 20\n", ""),
		"a key twice":                  swap("seeds: 20\n", "seeds: 20\nseeds: 30\n"),
		"an unknown key":               swap("profile: calm\n", "profile: calm\nprofil: crash\n"),
		"a line without a key":         swap("profile: calm\n", "profile: calm\nand more\n"),
		"seed none":                    swap("seeds: 20", "seeds: 0"),
		"seeds below none":             swap("seeds: 20", "seeds: -1"),
		"seeds that are no number":     swap("seeds: 20", "seeds: many"),
		"more seeds than a number":     swap("seeds: 20", "seeds: 99999999999999999999"),
		"too many seeds":               swap("seeds: 20", "seeds: 1001"),
		"too many for a rare one":      swap("seeds: 20", "seeds: 10001\nrare: true"),
		"rare without need":            swap("seeds: 20", "seeds: 1000\nrare: true"),
		"rare or not":                  swap("seeds: 20", "seeds: 1000\nrare: false"),
		"half a pair":                  swap("-- ledger/pbft/carry.go new --\nb\n", ""),
		"a pair of two files":          swap("carry.go new", "order.go new"),
		"new before old":               strings.NewReplacer(" old --", " new --", " new --", " old --").Replace(header + pair),
		"a pair that is the same":      swap("\nb\n", "\na\n"),
		"an edit of nothing":           swap("--\na\n", "--\n"),
		"an edit of empty lines":       swap("--\na\n", "--\n\n"),
		"a file above the module":      strings.ReplaceAll(header+pair, "ledger/pbft/carry.go", "../carry.go"),
		"a file out of the module":     strings.ReplaceAll(header+pair, "ledger/pbft/carry.go", "/ledger/carry.go"),
		"a test":                       strings.ReplaceAll(header+pair, "carry.go", "carry_test.go"),
		"what is not for the compiler": strings.ReplaceAll(header+pair, "carry.go", "go.mod"),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := Parse("some", []byte(text)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%v: %+v", err, m)
			}
		})
	}
}

func TestLoadNamesTheMalformed(t *testing.T) {
	_, err := load(fstest.MapFS{"good.txtar": {Data: []byte(header + pair)}, "odd.txtar": {Data: []byte(pair)}})
	if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "odd") {
		t.Error(err)
	}
}

// What a header says of runs must exist, or a mutant could never be found.
func TestMutantsCanBeRun(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there are no mutants")
	}
	for i := range all {
		m := &all[i]
		if err := drawn(m); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}

// drawn draws the first run that a mutant asks for.
func drawn(m *Mutant) error {
	c, err := sim.Draw(m.Profile, 0)
	if err != nil || m.Strategy == "" {
		return err
	}
	return c.Corrupt(m.Strategy)
}
