package capability_test

import (
	"errors"
	"testing"

	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

func TestQuorumsMeet(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5, 10: 7, 64: 43} {
		d := capability.Document{Certifiers: make([]sig.PublicKey, n)}
		if got := d.Quorum(); got != want {
			t.Errorf("of %d certifiers %d make a certificate, want %d", n, got, want)
		}
	}
}

func TestVersionsFollow(t *testing.T) {
	first := swarm(false)
	for name, c := range map[string]struct {
		change  func(*capability.Document)
		signers []string
		good    bool
	}{
		"by both roots":        {nil, []string{"root", "other root"}, true},
		"with other roots":     {func(d *capability.Document) { d.Roots, d.Threshold = public("new"), 1 }, []string{"root", "other root"}, true},
		"with a ledger":        {func(d *capability.Document) { d.Genesis[0] = 1 }, []string{"root", "other root"}, true},
		"by one root":          {nil, []string{"root"}, false},
		"by nobody":            {nil, nil, false},
		"by roots and another": {nil, []string{"root", "other root", "x"}, false},
		"by its own roots":     {func(d *capability.Document) { d.Roots = public("x", "y") }, []string{"x", "y"}, false},
		"with another name":    {func(d *capability.Document) { d.Name = "other" }, []string{"root", "other root"}, false},
		"open":                 {func(d *capability.Document) { d.Public = true }, []string{"root", "other root"}, false},
		"two numbers on":       {func(d *capability.Document) { d.Number++ }, []string{"root", "other root"}, false},
		"after something else": {func(d *capability.Document) { d.Previous[0]++ }, []string{"root", "other root"}, false},
	} {
		err := next(first, c.change, c.signers...).Follows(first, sig.NewVerifier(0))
		if c.good != (err == nil) || err != nil && !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	changed := next(first, nil, "root", "other root")
	changed.Document.Threshold = 1
	if err := changed.Follows(first, sig.NewVerifier(0)); !errors.Is(err, capability.ErrInvalid) {
		t.Errorf("changed after it was signed: %v", err)
	}
	withLedger := next(first, func(d *capability.Document) { d.Genesis[0] = 1 }, "root", "other root")
	without := next(&withLedger.Document, func(d *capability.Document) { d.Genesis = capability.ID{} }, "root", "other root")
	if err := without.Follows(&withLedger.Document, sig.NewVerifier(0)); !errors.Is(err, capability.ErrInvalid) {
		t.Errorf("a ledger that is gone: %v", err)
	}
}

// A fork has the version before it in force, in whatever order the versions come, and until
// somebody trusts one.
func TestForksOfDocuments(t *testing.T) {
	both := []string{"root", "other root"}
	v0 := swarm(false)
	one := next(v0, nil, both...)
	two := next(&one.Document, nil, both...)
	three := next(&two.Document, nil, both...)
	otherOne := next(v0, func(d *capability.Document) { d.Threshold = 1 }, both...)
	otherTwo := next(&one.Document, func(d *capability.Document) { d.Threshold = 1 }, both...)
	for name, c := range map[string]struct {
		come []*capability.Version
		want int64
		fork int64 // 0 for none
	}{
		"in order":                   {[]*capability.Version{one, two, three}, 3, 0},
		"twice":                      {[]*capability.Version{one, one, two, one, two}, 2, 0},
		"fork at the end":            {[]*capability.Version{one, two, otherTwo}, 1, 2},
		"the other way round":        {[]*capability.Version{one, otherTwo, two}, 1, 2},
		"and more":                   {[]*capability.Version{one, otherTwo, two, three, two, otherTwo}, 1, 2},
		"fork below":                 {[]*capability.Version{one, two, three, otherTwo}, 1, 2},
		"two forks":                  {[]*capability.Version{one, two, otherTwo, otherOne}, 0, 1},
		"two forks, the lower first": {[]*capability.Version{one, otherOne, two, otherTwo}, 0, 1},
		"with a gap":                 {[]*capability.Version{two, three}, 0, 0},
	} {
		s := succession(t, v0)
		for _, v := range c.come {
			if _, err := s.Add(v); err != nil && !errors.Is(err, capability.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		a, b := s.Conflict()
		if got := s.Current().Number; got != c.want || (c.fork != 0) != (a != nil) || a != nil && (a.Document.Number != c.fork || b.Document.Number != c.fork || a.Document.ID() == b.Document.ID()) {
			t.Errorf("%s: version %d is in force, in conflict %v and %v", name, got, a, b)
		}
	}
	s, err := capability.NewSuccession(v0.ID(), &two.Document, sig.NewVerifier(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*capability.Version{otherOne, otherTwo, one} {
		if news, err := s.Add(v); news || err != nil {
			t.Errorf("beside one that is trusted: %v, %v", news, err)
		}
	}
	if news, err := s.Add(three); !news || err != nil || s.Current().Number != 3 || s.Swarm() != v0.ID() {
		t.Errorf("after one that is trusted: %v, %v", news, err)
	}
	if _, err := capability.NewSuccession(two.Document.ID(), v0, sig.NewVerifier(0)); !errors.Is(err, capability.ErrInvalid) {
		t.Errorf("version 0 of another swarm: %v", err)
	}
}

func TestDocumentsThatAreNone(t *testing.T) {
	for name, spoil := range map[string]func(*capability.Document){
		"no name":            func(d *capability.Document) { d.Name = "" },
		"a name with a bell": func(d *capability.Document) { d.Name = "a\a" },
		"no roots":           func(d *capability.Document) { d.Roots = nil },
		"a root twice":       func(d *capability.Document) { d.Roots = append(d.Roots, d.Roots[1]) },
		"out of order":       func(d *capability.Document) { d.Roots[0], d.Roots[1] = d.Roots[1], d.Roots[0] },
		"the zero key":       func(d *capability.Document) { d.Roots[0] = sig.PublicKey{} },
		"no threshold":       func(d *capability.Document) { d.Threshold = 0 },
		"too high a one":     func(d *capability.Document) { d.Threshold = 3 },
		"a forebear":         func(d *capability.Document) { d.Previous[0] = 1 },
		"no forebear":        func(d *capability.Document) { d.Number = 1 },
		"a negative number":  func(d *capability.Document) { d.Number = -1 },
	} {
		d := swarm(false)
		if spoil(d); !errors.Is(d.Validate(), capability.ErrInvalid) {
			t.Errorf("%s: %v", name, d.Validate())
		}
	}
}

// A swarm that nobody owns is its name, and stays as it is.
func TestSwarmsThatNobodyOwns(t *testing.T) {
	d := capability.Unowned("public")
	s, err := capability.NewSuccession(d.ID(), d, sig.NewVerifier(0))
	if err != nil {
		t.Fatal(err)
	}
	again, err := capability.DecodeVersion((&capability.Version{Document: *d}).Encode())
	if err != nil || again.Document.ID() != d.ID() {
		t.Errorf("read again: %+v, %v", again, err)
	}
	v := next(d, func(d *capability.Document) { d.Roots, d.Threshold = public("x"), 1 })
	if _, err := s.Add(v); !errors.Is(err, capability.ErrInvalid) {
		t.Errorf("somebody has taken it over: %v", err)
	}
	for name, d := range map[string]*capability.Document{
		"private":         {Name: "x"},
		"with a quorum":   {Name: "x", Public: true, Threshold: 1},
		"with certifiers": {Name: "x", Public: true, Certifiers: public("x")},
		"a later version": {Name: "x", Public: true, Number: 1, Previous: d.ID()},
		"with a ledger":   {Name: "x", Public: true, Genesis: d.ID()},
	} {
		if err := d.Validate(); !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
