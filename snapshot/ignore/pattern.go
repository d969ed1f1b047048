package ignore

import "strings"

// pattern is one line, compiled.
type pattern struct {
	negated  bool // what matches is kept
	dirOnly  bool // only directories match
	anchored bool // it has a slash: the path below the list's directory must match, not the name alone

	// What matches begins with prefix, ends with suffix, and has between them what
	// program says, with inner somewhere in it: the longest run of its literal bytes.
	// All of it has at least shortest bytes. A file meets hundreds of patterns that do
	// not match it, so these decide before the program is run.
	shortest       int
	first, last    byte // of prefix and suffix, where they are not empty
	prefix, suffix string
	inner          []byte
	program        []token
	sets           []set
}

// token is one step of a program: a byte that must follow, one of the steps below, or
// firstSet and more, a byte of the set with that number.
type token uint16

const (
	anyByte token = 256 + iota // ?: one byte that is no slash
	anyRun                     // *: bytes that are no slashes, perhaps none
	anyDirs                    // **/: whole components with their slashes, perhaps none
	anyPath                    // ** elsewhere: any bytes, perhaps none
	firstSet
)

// maxSets is how many sets of bytes a pattern can have; one with more matches
// nothing. No path is long enough to match so many.
const maxSets = 1<<16 - int(firstSet)

// compile compiles a line without its trailing spaces. It is not ok when the pattern
// cannot match anything.
func compile(line string) (p pattern, ok bool) {
	line, p.negated = strings.CutPrefix(line, "!")
	line, p.dirOnly = strings.CutSuffix(line, "/")
	p.anchored = strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" || !p.steps(line) {
		return pattern{}, false
	}
	p.split()
	return p, true
}

// steps translates a pattern into a program, and reports whether it is well-formed.
func (p *pattern) steps(raw string) bool {
	for i := 0; i < len(raw); {
		switch c := raw[i]; c {
		case '\\':
			if i+1 == len(raw) {
				return false // git compares what follows, and nothing follows
			}
			p.program = append(p.program, token(raw[i+1]))
			i += 2
		case '?':
			p.program = append(p.program, anyByte)
			i++
		case '*':
			end := i + 1
			for end < len(raw) && raw[end] == '*' {
				end++
			}
			t := p.stars(raw, i, end)
			if t == anyDirs {
				end++
			}
			p.program = append(p.program, t)
			i = end
		case '[':
			s, n, ok := bracket(raw[i:])
			if !ok || len(p.sets) == maxSets {
				return false
			}
			p.program = append(p.program, firstSet+token(len(p.sets)))
			p.sets = append(p.sets, s)
			i += n
		default:
			p.program = append(p.program, token(c))
			i++
		}
	}
	return true
}

// stars returns what the asterisks from i to end stand for. Two or more are special
// only where they are a whole component. A slash after them that is escaped does not
// belong to them, so that then at least one component must be there.
func (p *pattern) stars(raw string, i, end int) token {
	rest := raw[end:]
	switch {
	case end-i < 2 || !p.anchored || i > 0 && raw[i-1] != '/':
		return anyRun
	case rest == "" || strings.HasPrefix(rest, `\/`):
		return anyPath
	case rest[0] == '/':
		return anyDirs
	}
	return anyRun
}

// split takes the literal ends off the program and notes what it needs at least.
func (p *pattern) split() {
	first, last := 0, len(p.program)
	for first < last && p.program[first].literal() {
		first++
	}
	for last > first && p.program[last-1].literal() {
		last--
	}
	p.prefix, p.suffix = text(p.program[:first]), text(p.program[last:])
	p.program = p.program[first:last:last]
	if p.prefix != "" {
		p.first = p.prefix[0]
	}
	if p.suffix != "" {
		p.last = p.suffix[len(p.suffix)-1]
	}
	p.shortest = len(p.prefix) + len(p.suffix)
	begin := 0 // of a run of literal bytes
	for i, t := range p.program {
		if t.literal() || t == anyByte || t >= firstSet {
			p.shortest++
		}
		if !t.literal() {
			begin = i + 1
		} else if i+1-begin > len(p.inner) {
			p.inner = []byte(text(p.program[begin : i+1]))
		}
	}
}

// literal reports whether t stands for one certain byte.
func (t token) literal() bool { return t < anyByte }

func text(program []token) string {
	b := make([]byte, len(program))
	for i, t := range program {
		b[i] = byte(t)
	}
	return string(b)
}
