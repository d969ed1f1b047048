package ignore

import "strings"

// set is a set of bytes.
type set [4]uint64

func (s *set) has(b byte) bool { return s[b/64]>>(b%64)&1 != 0 }
func (s *set) add(b byte)      { s[b/64] |= 1 << (b % 64) }

func (s *set) addRange(first, last byte) {
	for b := int(first); b <= int(last); b++ {
		s.add(byte(b))
	}
}

// bracket reads a bracket expression at the beginning of a pattern and returns the
// bytes that it stands for, never a slash, and its length. It is not ok when nobody
// closes it or when it names a class that there is not.
func bracket(raw string) (s set, n int, ok bool) {
	i := 1
	negated := i < len(raw) && (raw[i] == '!' || raw[i] == '^')
	if negated {
		i++
	}
	// A range begins with the element before it, unless that is a range or a class
	// itself: a hyphen after those is one.
	var before byte
	hasBefore := false
	for first := true; ; first = false {
		if i == len(raw) {
			return set{}, 0, false
		}
		c := raw[i]
		switch {
		case c == ']' && !first:
			if negated {
				for j := range s {
					s[j] = ^s[j]
				}
			}
			s['/'/64] &^= 1 << ('/' % 64)
			return s, i + 1, true
		case c == '-' && hasBefore && i+1 < len(raw) && raw[i+1] != ']':
			i++
			if raw[i] == '\\' {
				i++
			}
			if i == len(raw) {
				return set{}, 0, false
			}
			s.addRange(before, raw[i])
			i++
			hasBefore = false
			continue
		case strings.HasPrefix(raw[i:], "[:"):
			// The class ends at the next ], and is none if no colon stands before that.
			length := strings.IndexByte(raw[i+2:], ']')
			if length < 0 {
				return set{}, 0, false
			}
			name, isClass := strings.CutSuffix(raw[i+2:i+2+length], ":")
			if !isClass {
				break
			}
			member := classes[name]
			if member == nil {
				return set{}, 0, false
			}
			for b := range 256 {
				if member(byte(b)) {
					s.add(byte(b))
				}
			}
			i += len("[:") + length + len("]")
			hasBefore = false
			continue
		case c == '\\':
			i++
			if i == len(raw) {
				return set{}, 0, false
			}
			c = raw[i]
		}
		s.add(c)
		before, hasBefore = c, true
		i++
	}
}

// classes are the named classes, of ASCII alone and in no locale, as in git. Its space
// is narrower than C's: vertical tab and form feed are none.
var classes = map[string]func(byte) bool{
	"alnum":  func(b byte) bool { return isAlpha(b) || isDigit(b) },
	"alpha":  isAlpha,
	"blank":  func(b byte) bool { return b == ' ' || b == '\t' },
	"cntrl":  func(b byte) bool { return b < ' ' || b == 0x7f },
	"digit":  isDigit,
	"graph":  isGraph,
	"lower":  isLower,
	"print":  func(b byte) bool { return isGraph(b) || b == ' ' },
	"punct":  func(b byte) bool { return isGraph(b) && !isAlpha(b) && !isDigit(b) },
	"space":  func(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' },
	"upper":  isUpper,
	"xdigit": func(b byte) bool { return isDigit(b) || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F' },
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
func isLower(b byte) bool { return b >= 'a' && b <= 'z' }
func isUpper(b byte) bool { return b >= 'A' && b <= 'Z' }
func isAlpha(b byte) bool { return isLower(b) || isUpper(b) }
func isGraph(b byte) bool { return b > ' ' && b < 0x7f }
