package ignore_test

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/snapshot/ignore"
)

// recorded is what git 2.52 does. Each case is a file of patterns, and paths: those
// that git ignores and those that it does not. A path that ends with a slash is a directory.
var recorded = []struct{ patterns, ignored, kept string }{
	// Names and paths.
	{"a", "a|a/|x/a|x/y/a/", "b|ab|A"},
	{"a/", "a/|x/a/", "a|x/a"},
	{"/a", "a|a/", "x/a"},
	{"x/a", "x/a", "a|y/x/a"},
	{"x/a/", "x/a/", "x/a|y/x/a/"},
	{"*.o", "a.o|.o|x/a.o", "a.oo|o"},
	{"x/*.o", "x/a.o", "x/y/a.o|a.o"},
	{"*/a", "x/a", "a|x/y/a"},
	{"?", "a|1", "ab|é"},
	{"??", "ab|é", "a"},
	{"/", "", "a|a/"},
	{"//", "", "a|a/"},
	{"a//", "", "a|a/"},
	{"//a", "", "a|x/a"},

	// Brackets.
	{"[!a]", "b|1|!|^", "a|bb"},
	{"[^a]", "b|1|!|^", "a|bb"},
	{"[a-c]", "a|b|c", "d|-|A"},
	{"[c-a]", "c", "a|b|-"},
	{"[a-]", "a|-", "b"},
	{"[-a]", "a|-", "b"},
	{"[a-c-e]", "a|b|c|-|e", "d"},
	{"[]a]", "]|a", "b|[]a]"},
	{"[!]a]", "b", "]|a"},
	{`[\]]`, "]", `\`},
	{`[\a-c]`, "a|b|c", `\|-`},
	{`[a-\c]`, "a|b|c", `\|-`},
	{"x[/]a", "", "x/a|x[/]a"},
	{"x[!b]a", "xca", "x/a|xba"},
	{"x/[!b]", "x/a|x/y/z", "x/b|x/yy/z"},
	{"[a", "", "a|[a"},
	{"[", "", "["},
	{"[]", "", "[]|]"},
	{"[!", "", "a|[!"},
	{"a[", "", "a[|a"},
	{"[[:alpha:]]", "a|Z", "1|é|_"},
	{"[![:alpha:]]", "1|_", "a|Z"},
	{"[[:upper:][:digit:]]x", "Ax|1x", "ax"},
	{"[[:space:]]", "\t| |\r", "\v|\f|a"},
	{"[[:blank:]]", "\t| ", "\r|a"},
	{"[[:punct:]]", "!|[|~|_", "a|1|\x7f"},
	{"[[:xdigit:]]", "f|F|9", "g"},
	{"[[:alpha:]-z]", "-|z|a", "1|{"},
	{"[[:none:]]", "", "n|:|["},
	{"[[::]]", "", ":|["},
	{"[[:]", "[|:", "a"},
	{"[[:a]", "[|:|a", "b"},
	{"[[:a]b]", ":b]|ab]", "a"},
	{"[\x80-\xff]", "\xff|\x80", "a|é"},

	// Two asterisks.
	{"**", "a|x/a", ""},
	{"**/a", "a|x/a|x/y/a", "b|x/b|xa"},
	{"x/**", "x/a|x/y/", "x|x/"},
	{"x/**/a", "x/a|x/y/a|x/y/z/a", "a|xa|x/ya|y/x/a"},
	{"x**/a", "x/a|xy/a", "x/y/a|xy/z/a"},
	{"x/**a", "x/a|x/ba", "x/y/a"},
	{"x/a**", "x/a|x/ab", "x/b|y/ab"},
	{"x***", "x|xyz", "y"},
	{"***/a", "a|x/a|x/y/a", "xa"},
	{`**\/a`, "x/a|x/y/a", "a"},
	{"**/", "x/", "x"},
	{"**/x/**/a", "x/a|y/x/a|x/y/x/z/a", "a|x/b"},
	{"x/**/y/*a", "x/y/a|x/1/y/ba|x/y/y/a|x/y/2/y/a", "x/y/2/a"},
	{"**/ab*c/d", "abc/d|x/abxc/d|abc/abc/d", "abc/x/d|x/ab/d"},
	{"x/**/*b*c", "x/bc|x/y/abbc|x/bc/bc", "x/cb|x/bcb"},

	// Lines: comments, ends, escapes, a byte order mark.
	{"\ufeffa", "a", "\ufeffa"},
	{"b\n\ufeffa", "b|\ufeffa", "a"},
	{"a\r\nb\r", "a|b", "a\r"},
	{"a\r\r", "a\r", "a"},
	{"a  ", "a", "a  "},
	{"a\\ ", "a ", "a"},
	{"a\\  ", "a ", "a|a  "},
	{"a\t", "a\t", "a"},
	{"a \\", "", "a|a |a \\"},
	{"  ", "", " |  |a"},
	{" a", " a", "a"},
	{"#a", "", "#a|a"},
	{"\\#a", "#a", "a"},
	{" #a", " #a", "#a"},
	{"\\!a", "!a", "a"},
	{"\\a", "a", "\\a"},
	{"a\\*", "a*", "ab|a\\*"},
	{"a\\", "", "a|a\\"},
	{"a\\/", "", "a|a/"},
	{"x\\/a", "x/a", "x"},
	{"a\x00b", "a", "ab|b"},
	{"\x00\na", "a", ""},

	// Taking back.
	{"*\n!a", "b|b/a", "a"},
	{"!a\n*", "a|b", ""},
	{"*\n!*/\n!*.c", "a.o|x/a.o", "a.c|x/|x/a.c"},
	{"x\n!x/a", "x/|x/a|x/b", ""},
	{"x/*\n!x/a", "x/b|x/y/a", "x/|x/a"},
	{"x/\n!x/", "", "x/|x/a|x"},
	{"a\n!a/", "a|x/a", "a/|x/a/b"},
	{"/*\n!/x\n/x/*\n!/x/a", "b|x/b|x/y/a", "x/|x/a"},
	{"a\n!!a", "a", "!a"},
	{"a\n!", "a", "b"},
	{"!b\na\n!c", "a", "b|c"},
}

// excludes reports whether a Matcher leaves a path out, or one of the directories
// above it, as a walk does.
func excludes(patterns, p string) bool {
	var m ignore.Matcher
	m.Push("", ignore.Parse([]byte(patterns)))
	clean := strings.TrimSuffix(p, "/")
	dir := ""
	for rest := clean; ; {
		name, below, more := strings.Cut(rest, "/")
		if m.Excluded(dir, name, more || clean != p) {
			return true
		}
		if !more {
			return false
		}
		dir, rest = path.Join(dir, name), below
	}
}

func paths(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, "|")
}

// TestRecorded holds the Matcher against what git was seen to do.
func TestRecorded(t *testing.T) {
	for _, c := range recorded {
		for list, want := range map[string]bool{c.ignored: true, c.kept: false} {
			for _, p := range paths(list) {
				if got := excludes(c.patterns, p); got != want {
					t.Errorf("patterns %q, path %q: left out: %v, by git: %v", c.patterns, p, got, want)
				}
			}
		}
	}
}

// TestRecordedAsGit holds the record against the git that is installed. Each path has
// a directory to itself with the patterns, so that git need be started only once.
func TestRecordedAsGit(t *testing.T) {
	plainStars := needGit(t).plainStars
	r := newRepository(t, t.TempDir())
	type question struct {
		patterns, path string
		ignored        bool
	}
	questions := make(map[string]question)
	var asked []string
	for _, c := range recorded {
		if !plainStars && starsAfterLetters.MatchString(c.patterns) {
			continue
		}
		for list, want := range map[string]bool{c.ignored: true, c.kept: false} {
			for _, p := range paths(list) {
				dir := fmt.Sprintf("case%d/", len(asked))
				write(t, filepath.Join(r.top, dir, ".gitignore"), c.patterns)
				clean, isDir := strings.CutSuffix(p, "/")
				if isDir {
					p = clean + "/in it"
				}
				write(t, filepath.Join(r.top, dir+p), "")
				asked = append(asked, dir+clean)
				questions[dir+clean] = question{c.patterns, p, want}
			}
		}
	}
	for p, ignored := range r.ignored(t, asked) {
		if q := questions[p]; q.ignored != ignored {
			t.Errorf("patterns %q, path %q: ignored by git: %v, recorded: %v", q.patterns, q.path, ignored, q.ignored)
		}
	}
}

// TestLists lets the deepest directory's patterns decide, and none outside its directory.
func TestLists(t *testing.T) {
	var m ignore.Matcher
	if m.Excluded("", "a", false) {
		t.Error("a Matcher without patterns leaves something out")
	}
	m.Push("", ignore.ParseLines([]string{"*.o", "/x/y/z", "!keep.o"}))
	m.Push("x", ignore.Parse([]byte("!a.o\nkeep.o\n/y/b\n")))
	for p, want := range map[[2]string]bool{
		{"x", "a.o"}: false, {"x/y", "a.o"}: false, {"x", "b.o"}: true, {"x", "keep.o"}: true, {"x/y", "b"}: true, {"x", "b"}: false, {"x/y", "z"}: true,
	} {
		if got := m.Excluded(p[0], p[1], false); got != want {
			t.Errorf("%s: %v, want %v", path.Join(p[0], p[1]), got, want)
		}
	}
	m.Pop()
	if !m.Excluded("w", "a.o", false) || m.Excluded("w", "keep.o", false) {
		t.Error("patterns of a directory count outside it")
	}
}

// TestEmpty knows lists that cannot match anything.
func TestEmpty(t *testing.T) {
	for content, want := range map[string]bool{"": true, "# a\n\n  \n": true, "[a": true, "!": true, "!a": false, "a": false} {
		if got := ignore.Parse([]byte(content)).Empty(); got != want {
			t.Errorf("%q: %v, want %v", content, got, want)
		}
	}
}

// TestHostilePatterns would take longer than the universe has, if a pattern could
// take exponential time.
func TestHostilePatterns(t *testing.T) {
	name := strings.Repeat("a", 255)
	dir := strings.TrimSuffix(strings.Repeat(name+"/", 15), "/")
	for _, pattern := range []string{
		strings.Repeat("*a", 100) + "b", strings.Repeat("*?", 1<<19) + "b", strings.Repeat("**/", 1<<18) + "b", strings.Repeat("**/*a*a/", 7) + "b",
		"/" + strings.Repeat("**/a*", 10) + "*b*", strings.Repeat("*/", 16) + "b", strings.Repeat("[!b]*", 120) + "b", strings.Repeat("[a]", 1<<17),
	} {
		var m ignore.Matcher
		m.Push("", ignore.ParseLines([]string{pattern}))
		if m.Excluded(dir, name, false) {
			t.Errorf("%.20s… matches", pattern)
		}
	}
}
