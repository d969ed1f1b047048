package tx

import (
	"time"
	"unicode/utf8"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

// checkName returns a *Rejection unless s is a name; see the package comment.
func checkName(field, s string) error {
	if len(s) > MaxName {
		return Reject(CodeTooLarge, "%s: %d bytes, at most %d", field, len(s), MaxName)
	}
	if s == "" {
		return Reject(CodeInvalid, "%s: missing", field)
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c == '.' || c == '_' || c == '-':
			if i == 0 || i == len(s)-1 {
				return Reject(CodeInvalid, "%s: %q must begin and end with a letter or digit", field, s)
			}
		default:
			return Reject(CodeInvalid, "%s: %q has other characters than a-z, 0-9, '.', '_' and '-'", field, s)
		}
	}
	return nil
}

// checkText returns a *Rejection unless s is printable and of so many bytes.
func checkText(field, s string, least, most int) error {
	if len(s) > most {
		return Reject(CodeTooLarge, "%s: %d bytes, at most %d", field, len(s), most)
	}
	if len(s) < least {
		return Reject(CodeInvalid, "%s: missing", field)
	}
	if !utf8.ValidString(s) {
		return Reject(CodeInvalid, "%s: %q is not UTF-8", field, s)
	}
	for _, r := range s {
		if !printable(r) {
			return Reject(CodeInvalid, "%s: %q has the character %U, which does not print", field, s, r)
		}
	}
	return nil
}

// printable reports whether a text may have r. The list is closed, unlike that of
// unicode.IsPrint, which grows with the toolchain; see the package comment.
func printable(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f:
		return false
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
		return false
	}
	return true
}

// checkNumber returns a *Rejection for a number that the wire format cannot carry.
func checkNumber(field string, v uint64) error {
	if v > wire.MaxUvarint {
		return Reject(CodeInvalid, "%s: %d, at most %d", field, v, wire.MaxUvarint)
	}
	return nil
}

// checkKey returns a *Rejection unless somebody can hold the key.
func checkKey(field string, k sig.PublicKey) error {
	if k.IsZero() {
		return Reject(CodeInvalid, "%s: missing", field)
	}
	if err := k.Check(); err != nil {
		return Reject(CodeInvalid, "%s: %v", field, err)
	}
	return nil
}

// date returns a time for people.
func date(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
