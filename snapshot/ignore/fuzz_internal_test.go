package ignore

import (
	"strings"
	"testing"
)

// matches is what match should say, at any cost: all ways to spread a path over a program.
func matches(p *pattern, program []token, path string) bool {
	if len(program) == 0 {
		return path == ""
	}
	t, rest := program[0], program[1:]
	if t == anyRun || t == anyPath || t == anyDirs {
		for i := 0; ; i++ {
			if (t != anyDirs || i == 0 || path[i-1] == '/') && matches(p, rest, path[i:]) {
				return true
			}
			if i == len(path) || t == anyRun && path[i] == '/' {
				return false
			}
		}
	}
	return path != "" && p.takes(t, path[0]) && matches(p, rest, path[1:])
}

// FuzzMatch compares match with the definition of what programs mean.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"a", "a"},
		{"*.o", "x.o"},
		{"x/**/a*b/c", "x/y/ab/aab/c"},
		{"**/*a*a/b", "a/aa/xaya/b"},
		{"[!a-c]?", "xy"},
		{`**\/a`, "x/a"},
		{"*a*b*", "aab"},
		{"**/a/**/b/*c", "a/x/b/a/b/cc"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, line, path string) {
		p, ok := compile(line)
		if !ok || len(line) > 24 || len(path) > 48 {
			return
		}
		whole := pattern{anchored: p.anchored}
		if !p.anchored && strings.Contains(path, "/") {
			return // names have none
		}
		for _, b := range []byte(p.prefix) {
			whole.program = append(whole.program, token(b))
		}
		whole.program = append(whole.program, p.program...)
		for _, b := range []byte(p.suffix) {
			whole.program = append(whole.program, token(b))
		}
		if got, want := p.match([]byte(path)), matches(&p, whole.program, path); got != want {
			t.Errorf("pattern %q, path %q: %v, want %v", line, path, got, want)
		}
	})
}
