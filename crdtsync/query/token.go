package query

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrInvalid is returned for what is no query.
var ErrInvalid = errors.New("invalid query")

// Error says where a query is wrong. It is an ErrInvalid.
type Error struct {
	Column int // from 1, in characters
	Said   string
}

// Error says where, and what was expected.
func (e *Error) Error() string {
	return fmt.Sprintf("%v: column %d: %s", ErrInvalid, e.Column, e.Said)
}

// Unwrap returns ErrInvalid.
func (e *Error) Unwrap() error { return ErrInvalid }

// token is a word, a quoted text or an operator.
type token struct {
	kind   kind
	text   string
	column int
}

type kind int

const (
	end kind = iota
	word
	quoted
	operator // = != > < >= <= : ( ) [ ]
)

// String names a token in a message.
func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

// is reports whether a token is an operator or a keyword.
func (t token) is(text string) bool { return t.kind != quoted && t.kind != end && t.text == text }

// single are the operators of one character, which no word has in it.
const single = "=<>!():[]"

// split splits a query into tokens, the last of which is the end.
func split(text string) ([]token, error) {
	var out []token
	column := 1
	for rest := text; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && n < 2:
			return nil, &Error{column, "it is not UTF-8"}
		case unicode.IsSpace(r):
			rest, column = rest[n:], column+1
		case r == '"':
			said, length, err := unquote(rest, column)
			if err != nil {
				return nil, err
			}
			out = append(out, token{quoted, said, column})
			column += utf8.RuneCountInString(rest[:length])
			rest = rest[length:]
		case strings.HasPrefix(rest, "!="), strings.HasPrefix(rest, ">="), strings.HasPrefix(rest, "<="):
			out = append(out, token{operator, rest[:2], column})
			rest, column = rest[2:], column+2
		case r == '!':
			return nil, &Error{column, "want != here, or NOT before a comparison"}
		case strings.ContainsRune(single, r):
			out = append(out, token{operator, rest[:n], column})
			rest, column = rest[n:], column+1
		default:
			length := wordEnd(rest, len(out) > 0 && out[len(out)-1].kind == operator && strings.Contains("=!=<=>=:", out[len(out)-1].text))
			out = append(out, token{word, rest[:length], column})
			column += utf8.RuneCountInString(rest[:length])
			rest = rest[length:]
		}
	}
	return append(out, token{kind: end, column: column}), nil
}

// wordEnd returns how long a word is. Within a value colons belong to it, as in a time.
func wordEnd(text string, value bool) int {
	for i, r := range text {
		if unicode.IsSpace(r) || r == '"' || r == utf8.RuneError || strings.ContainsRune(single, r) && !(value && r == ':') {
			return i
		}
	}
	return len(text)
}

// unquote reads a quoted text from the beginning of another one, and returns how long it is there.
func unquote(text string, column int) (said string, length int, err error) {
	var b strings.Builder
	escaped := false
	for i, r := range text[1:] {
		switch {
		case escaped && r != '"' && r != '\\':
			return "", 0, &Error{column + utf8.RuneCountInString(text[:1+i]), `want \" or \\ in a quoted text`}
		case !escaped && r == '\\':
			escaped = true
			continue
		case !escaped && r == '"':
			return b.String(), i + 2, nil
		}
		escaped = false
		b.WriteRune(r)
	}
	return "", 0, &Error{column, "the quoted text does not end"}
}
