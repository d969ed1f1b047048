// Package oneline says which texts of others show on one line as they are.
package oneline

import "unicode/utf8"

// Printable reports whether s is UTF-8 that shows on one line as it is: without control
// characters, separators of lines, marks that change the direction of the text around them,
// and the character that stands for broken text. It asks no table of a Unicode version: every
// release must judge a text alike.
func Printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		switch {
		case r < ' ', 0x7f <= r && r <= 0x9f, r == 0x61c, 0x200e <= r && r <= 0x200f,
			0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069, r == 0xfeff, r == utf8.RuneError:
			return false
		}
	}
	return true
}
