package oneline_test

import (
	"testing"

	"github.com/decube/decube/internal/oneline"
)

func TestPrintable(t *testing.T) {
	for _, s := range []string{"", "a b", "Grüße, 世界 \U0001f600", "~", "\u00a0"} {
		if !oneline.Printable(s) {
			t.Errorf("%q does not print", s)
		}
	}
	for _, s := range []string{"\n", "a\x00", "\x1b[31m", "\x7f", "\u0085", "\u061c", "\u200e", "\u200f", "\u2028", "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff", "\ufffd", "\xff"} {
		if oneline.Printable(s) {
			t.Errorf("%q prints", s)
		}
	}
}
