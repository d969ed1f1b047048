// Package literal reads values of the catalog as people write them. It is pure.
//
//	true, false               a boolean
//	12, -3                    a whole number; one that begins with zeros, such as 007, is a text
//	1.5, 2e9                  a number
//	512MiB, 1.5GB, 10B        a number of bytes
//	2026-01-02T15:04:05Z      a time of RFC 3339
//	all else                  a text
package literal

import (
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
)

// The forms that are guessed. A number that begins with zeros is a text: it is a code, and the
// zeros matter.
var (
	wholeForm  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	sizeForm   = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(B|[kKMGTPE]B|[KMGTPE]iB)$`)
)

// Guess returns the type that a text looks like.
func Guess(text string) bundle.Type {
	switch {
	case text == "true", text == "false":
		return bundle.Bool
	case wholeForm.MatchString(text):
		return bundle.Whole
	case numberForm.MatchString(text):
		return bundle.Number
	case sizeForm.MatchString(text):
		return bundle.Size
	}
	if _, ok := readTime(text); ok {
		return bundle.Instant
	}
	return bundle.Text
}

// Read returns the value of a type that a text stands for, and whether it stands for one. A
// text stands for itself.
func Read(as bundle.Type, text string) (bundle.Value, bool) {
	switch as {
	case bundle.Text:
		return bundle.TextValue(text), true
	case bundle.Number:
		f, err := strconv.ParseFloat(text, 64)
		return bundle.NumberValue(f), err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
	case bundle.Whole:
		n, err := strconv.ParseInt(text, 10, 64)
		return bundle.WholeValue(n), err == nil
	case bundle.Bool:
		return bundle.BoolValue(text == "true"), text == "true" || text == "false"
	case bundle.Size:
		return readSize(text)
	case bundle.Instant:
		return readTime(text)
	default:
		return bundle.Value{}, false
	}
}

// readSize reads a number of bytes, with a unit or none. What is less than a byte is cut off.
func readSize(text string) (bundle.Value, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return bundle.SizeValue(n), n >= 0
	}
	parts := sizeForm.FindStringSubmatch(text)
	if parts == nil {
		return bundle.Value{}, false
	}
	n, ok := new(big.Rat).SetString(parts[1])
	if !ok {
		return bundle.Value{}, false
	}
	unit, base := parts[2], int64(1000)
	if strings.HasSuffix(unit, "iB") {
		base = 1024
	}
	if power := slices.Index([]byte("BKMGTPE"), strings.ToUpper(unit)[0]); power > 0 {
		factor := new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(power)), nil)
		n.Mul(n, new(big.Rat).SetInt(factor))
	}
	whole := new(big.Int).Quo(n.Num(), n.Denom())
	return bundle.SizeValue(whole.Int64()), whole.IsInt64()
}

// readTime reads a time of RFC 3339 that is one in UTC too.
func readTime(text string) (bundle.Value, bool) {
	t, err := time.Parse(time.RFC3339, text)
	year := t.UTC().Year()
	return bundle.InstantValue(t), err == nil && year >= 0 && year <= 9999
}
