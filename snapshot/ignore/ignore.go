// Package ignore decides by patterns in gitignore syntax what is left out, and
// decides as git does: a file that git would keep and DeCube left out would be missing
// when it is needed.
//
//	file ─▶ Parse ─▶ List, one for each file of patterns
//	walk ─▶ Matcher: a stack of Lists, one for each directory that has some;
//	        the last pattern that matches decides, the deepest directory's last,
//	        and after those what was given on the command line
//
// The rules are those of the gitignore manual. Where the manual says nothing (a byte
// order mark, brackets that nobody closes, a backslash at the end) git's behaviour
// counts, as of git 2.52; the package's tests ask git itself.
//
// Patterns are compiled once into programs without recursion (see match.go): a match
// allocates nothing and takes no more time than grows with the length of the pattern and
// the square of the path's. Paths and patterns are bytes, in no encoding.
package ignore

import "strings"

// List is the patterns of one source, in order. The zero List holds none.
type List struct{ patterns []pattern }

// byteOrderMark is what some editors put before UTF-8 text.
const byteOrderMark = "\ufeff"

// Parse compiles the content of a file of patterns. Like git it takes every content:
// a pattern that is malformed matches nothing.
func Parse(content []byte) List {
	if len(content) == 0 {
		return List{} // as in most directories
	}
	return ParseLines(Lines(content))
}

// Lines splits the content of a file of patterns for ParseLines.
func Lines(content []byte) []string {
	return strings.Split(strings.TrimPrefix(string(content), byteOrderMark), "\n")
}

// ParseLines compiles patterns that are one line each.
func ParseLines(lines []string) List {
	var l List
	for _, line := range lines {
		l.add(line)
	}
	return l
}

// Empty reports whether the list holds no pattern that could match anything.
func (l List) Empty() bool { return len(l.patterns) == 0 }

func (l *List) add(line string) {
	if strings.HasPrefix(line, "#") {
		return
	}
	line = strings.TrimSuffix(line, "\r")
	// To git a line is a C string, which ends at the first NUL.
	line, _, _ = strings.Cut(line, "\x00")
	if p, ok := compile(trimSpaces(line)); ok {
		l.patterns = append(l.patterns, p)
	}
}

// trimSpaces cuts off the spaces at the end of a line (and no other white space),
// from the first one on that no backslash protects.
func trimSpaces(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			i++ // what follows stays, a space too
		}
		end = i + 1
	}
	return line[:min(end, len(line))]
}

// Matcher decides during a walk. The zero Matcher leaves nothing out. It belongs to
// one goroutine.
type Matcher struct {
	// Over comes after all other lists, as what git is given on the command line does: where
	// it says something, files of patterns have no say. It is relative to the top.
	Over   List
	levels []level
	path   []byte // scratch
}

// level is a List and the directory that its patterns are relative to.
type level struct {
	List
	base int // bytes of a path below the directory that name the directory
}

// Push adds a list that holds for a directory and what is below it, and that comes
// after those already there. The path is relative and clean, empty for the top.
func (m *Matcher) Push(dir string, l List) {
	base := 0
	if dir != "" {
		base = len(dir) + len("/")
	}
	m.levels = append(m.levels, level{List: l, base: base})
}

// Pop takes the last list away that was added.
func (m *Matcher) Pop() { m.levels = m.levels[:len(m.levels)-1] }

// Excluded reports whether a name in dir is left out. The directory must be the one
// of the last list or below it, and must not be left out itself: nothing in an excluded
// directory comes back, so a walk never goes there to ask.
func (m *Matcher) Excluded(dir, name string, isDir bool) bool {
	m.path = m.path[:0]
	if dir != "" {
		m.path = append(append(m.path, dir...), '/')
	}
	start := len(m.path)
	m.path = append(m.path, name...)
	if excluded, says := m.Over.excludes(m.path, m.path[start:], isDir); says {
		return excluded
	}
	for i := len(m.levels) - 1; i >= 0; i-- {
		l := &m.levels[i]
		if excluded, says := l.excludes(m.path[l.base:], m.path[start:], isDir); says {
			return excluded
		}
	}
	return false
}

// excludes reports what the last pattern says that matches a path relative to the list's
// directory, or its last component, if one does.
func (l *List) excludes(rel, name []byte, isDir bool) (excluded, says bool) {
	for j := len(l.patterns) - 1; j >= 0; j-- {
		p := &l.patterns[j]
		if p.dirOnly && !isDir {
			continue
		}
		text := name
		if p.anchored {
			text = rel
		}
		if p.match(text) {
			return !p.negated, true
		}
	}
	return false, false
}
