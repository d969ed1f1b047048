package literal_test

import (
	"testing"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/literal"
)

func TestGuessesAreRead(t *testing.T) {
	for text, want := range map[string]struct {
		as    bundle.Type
		shown string
	}{
		"true": {bundle.Bool, "true"}, "True": {bundle.Text, "True"}, "12": {bundle.Whole, "12"}, "-0": {bundle.Whole, "0"}, "007": {bundle.Text, "007"},
		"1.50": {bundle.Number, "1.5"}, "2e9": {bundle.Number, "2e+09"}, "+5": {bundle.Text, "+5"}, "10B": {bundle.Size, "10"}, "1.5GiB": {bundle.Size, "1610612736"},
		"1kB": {bundle.Size, "1000"}, "GB": {bundle.Text, "GB"}, "2026-01-02T15:04:05+01:00": {bundle.Instant, "2026-01-02T14:04:05Z"},
		"2026-01-02": {bundle.Text, "2026-01-02"}, "": {bundle.Text, ""},
	} {
		as := literal.Guess(text)
		v, ok := literal.Read(as, text)
		if as != want.as || !ok || v.String() != want.shown || v.Type() != as {
			t.Errorf("%q is %q of %v, %t, want %q of %v", text, v, as, ok, want.shown, want.as)
		}
	}
}

func TestWhatDoesNotFit(t *testing.T) {
	for text, as := range map[string]bundle.Type{
		"99999999999999999999": bundle.Whole, "1e999": bundle.Number, "9EiB": bundle.Size, "-1": bundle.Size, "x": bundle.Instant, "yes": bundle.Bool,
		"0000-01-01T00:00:00+23:00": bundle.Instant, "anything": bundle.None, "NaN": bundle.Number,
	} {
		if v, ok := literal.Read(as, text); ok {
			t.Errorf("%q is a %v: %v", text, as, v)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("1.5GB")
	f.Add("2026-01-02T15:04:05Z")
	f.Fuzz(func(t *testing.T, text string) {
		as := literal.Guess(text)
		v, ok := literal.Read(as, text)
		if !ok {
			return
		}
		again, ok := literal.Read(as, v.String())
		if as != bundle.Text && (!ok || again != v) {
			t.Errorf("%q is %v, and that is %v", text, v, again)
		}
	})
}
