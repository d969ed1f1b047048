package admission_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/tx"
)

func key(i int) sig.PublicKey {
	return sig.FromSeed([sig.SeedSize]byte{byte(i), byte(i >> 8), 'a'}).Public()
}

var keys = func() []sig.PublicKey {
	var all []sig.PublicKey
	for i := range 20 {
		all = append(all, key(i))
	}
	return all
}()

// A list admits exactly the keys that are on it, in whatever order they were given.
func TestListAdmitsItsKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		listed := rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 1, 20, rapid.ID).Draw(t, "listed")
		rules := admission.Rules{Mode: admission.ModeList, Keys: slices.Clone(listed)}
		if err := rules.Validate(); err != nil {
			t.Fatal(err)
		}
		policy := rules.Policy()
		clear(rules.Keys) // a list has its own
		for _, k := range keys {
			verb := tx.Type(rapid.IntRange(1, 9).Draw(t, "verb"))
			code, ok := tx.CodeOf(policy.Allowed(k, verb, rapid.Int64().Draw(t, "time")))
			want := tx.CodeNotAdmitted
			if slices.Contains(listed, k) {
				want = tx.CodeOK
			}
			if !ok || code != want {
				t.Fatalf("%v: %v, want %v", k, code, want)
			}
		}
	})
}

func TestOpenAdmitsEverybody(t *testing.T) {
	var rules admission.Rules
	if err := rules.Validate(); err != nil || rules.Mode != admission.ModeOpen {
		t.Fatal(rules, err)
	}
	if err := rules.Policy().Allowed(key(1), tx.TypeNameClaim, 0); err != nil {
		t.Error(err)
	}
	if err := (admission.List{}).Allowed(key(1), tx.TypeNameClaim, 0); err == nil {
		t.Error("an empty list admits somebody")
	}
}

func TestValidate(t *testing.T) {
	var many []sig.PublicKey
	for i := range admission.MaxKeys + 1 {
		many = append(many, key(i))
	}
	list := func(keys ...sig.PublicKey) admission.Rules {
		return admission.Rules{Mode: admission.ModeList, Keys: keys}
	}
	if err := list(many[1:]...).Validate(); err != nil {
		t.Errorf("as many as there may be: %v", err)
	}
	for name, rules := range map[string]admission.Rules{
		"an open list":        {Keys: keys[:1]},
		"an empty list":       list(),
		"too many":            list(many...),
		"one twice":           list(key(1), key(2), key(1)),
		"nobody":              list(sig.PublicKey{}),
		"everybody's":         list(sig.PublicKey{1}),
		"a mode there is not": {Mode: 2, Keys: keys[:1]},
	} {
		if err := rules.Validate(); !errors.Is(err, admission.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestModes(t *testing.T) {
	for _, m := range []admission.Mode{admission.ModeOpen, admission.ModeList} {
		if back, err := admission.ParseMode(m.String()); back != m || err != nil {
			t.Errorf("%v becomes %v, %v", m, back, err)
		}
	}
	for _, name := range []string{"", "Open", "mode(2)", "capability"} {
		if _, err := admission.ParseMode(name); !errors.Is(err, admission.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
