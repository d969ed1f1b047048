package ignore_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/snapshot/ignore"
)

// gitRepository is a repository whose ignore rules git is asked about.
type gitRepository struct {
	top string
	// plainStars is false for git before 2.52, to which ** after letters is special: there
	// a**/b is a/**/b as well.
	plainStars bool
}

// needGit returns a repository, or skips the test on a machine without git.
func needGit(t *testing.T) *gitRepository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed, so nothing is compared with it here: TestRecorded alone says what git does")
	}
	r := newRepository(t, t.TempDir())
	write(t, filepath.Join(r.top, ".gitignore"), "a**/b\n")
	write(t, filepath.Join(r.top, "ab/c/b"), "")
	r.plainStars = !r.ignored(t, []string{"ab/c/b"})["ab/c/b"]
	return r
}

// fataler is what the tests and their properties have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// newRepository makes a repository that is just enough for git to read ignore rules in.
func newRepository(t fataler, top string) *gitRepository {
	t.Helper()
	for _, dir := range []string{"objects", "refs", "info"} {
		if err := os.MkdirAll(filepath.Join(top, ".git", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(top, ".git", "HEAD"), "ref: refs/heads/main\n")
	return &gitRepository{top: top}
}

func write(t fataler, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ignored returns which of the paths git ignores. No configuration of this machine
// or its user has a say.
func (r *gitRepository) ignored(t fataler, paths []string) map[string]bool {
	t.Helper()
	cmd := exec.Command("git", "check-ignore", "-z", "--stdin", "--verbose", "--non-matching", "--no-index") //nolint:noctx // rapid's T has no context
	cmd.Dir = r.top
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.top, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
	// A path that begins with a colon would be more than a path to git.
	cmd.Stdin = strings.NewReader("./" + strings.Join(paths, "\x00./") + "\x00")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	// Git exits with 1 when no path is ignored.
	if err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("git check-ignore: %v\n%s", err, &stderr)
	}
	fields := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(fields) != 4*len(paths) {
		t.Fatalf("git says %d fields of %d paths", len(fields), len(paths))
	}
	got := make(map[string]bool, len(paths))
	for f := range slices.Chunk(fields, 4) { // source, line, pattern, path
		got[strings.TrimPrefix(f[3], "./")] = f[2] != "" && f[2][0] != '!'
	}
	return got
}

// walk returns which paths below top a walk with a Matcher leaves out, or does not
// come to. Lists are in files called .gitignore.
func walk(t fataler, m *ignore.Matcher, top, dir string, excluded map[string]bool, gone bool) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(top, dir))
	if err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(top, dir, ".gitignore")); err == nil && !gone {
		m.Push(dir, ignore.Parse(content))
		defer m.Pop()
	}
	for _, e := range entries {
		rel := path.Join(dir, e.Name())
		if rel == ".git" {
			continue
		}
		out := gone || m.Excluded(dir, e.Name(), e.IsDir())
		excluded[rel] = out
		if e.IsDir() {
			walk(t, m, top, rel, excluded, out)
		}
	}
}

// compare reports where git and a walk do not agree.
func (r *gitRepository) compare(t fataler) (differences []string) {
	t.Helper()
	mine := make(map[string]bool)
	var m ignore.Matcher
	if content, err := os.ReadFile(filepath.Join(r.top, ".git/info/exclude")); err == nil {
		m.Push("", ignore.Parse(content))
	}
	walk(t, &m, r.top, "", mine, false)
	var paths []string
	for p := range mine {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	git := r.ignored(t, paths)
	for _, p := range paths {
		if mine[p] != git[p] {
			differences = append(differences, fmt.Sprintf("%q: ignored by git: %v, here: %v", p, git[p], mine[p]))
		}
	}
	return differences
}

var (
	// names that patterns have to tell apart, some of them hostile.
	names = []string{
		"a", "b", "c", "ab", "abc", "a.o", "b.o", ".o", "A", "1", "a1", "-", "a-c", "!a", "#a", "a b", "a ", " ", "[a]", "a]", "*", "**", "?",
		`a\b`, `\`, `\a`, "é", "\xff", "a\nb", "a\r", "a\tb", "\ufeffa", ":", "^", "a:",
	}
	// pieces that patterns are made of.
	pieces = []string{
		"a", "b", "c", ".o", "o", "1", "A", "é", "\xff", ":", "-", " ", "#", "!", "^", "\r", "\t", "\x00", `\`, `\ `, `\*`, `\/`,
		"/", "/", "/", "*", "*", "*", "?", "**", "**/", "/**", "/**/", "***", "*/", "/*",
		"[", "]", "[!a]", "[^b]", "[a-c]", "[]a]", "[!]a]", "[a/]", "[!/]", "[b-a]", "[a-]", "[-a]", `[\]]`, `[\a-c]`, `[a-\c]`, "[a-c-e]", "[[:",
		":]", ":]]", "[[:alpha:]]", "[![:alpha:]]", "[[:upper:][:digit:]]", "[[:punct:]]", "[[:space:]a]", "[[:none:]]", "[[:a]", "[[::]]", "[[:]", "[[:alpha:]-z]",
	}
	// starsAfterLetters is what git before 2.52 takes differently.
	starsAfterLetters = regexp.MustCompile(`^!?[^*?\[\\]*[^*?\[\\/]\*\*`)
)

func drawPatterns(t *rapid.T, plainStars bool) string {
	var b strings.Builder
	if rapid.IntRange(0, 9).Draw(t, "mark") == 0 {
		b.WriteString("\ufeff")
	}
	for i := range rapid.IntRange(1, 5).Draw(t, "lines") {
		if i > 0 && rapid.IntRange(0, 2).Draw(t, "negated") == 0 {
			b.WriteByte('!')
		}
		line := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 7).Draw(t, "pattern"), "")
		if !plainStars && starsAfterLetters.MatchString(line) {
			line = strings.ReplaceAll(line, "**", "*")
		}
		b.WriteString(line)
		b.WriteString(rapid.SampledFrom([]string{"\n", "\n", "\n", "/\n", "\r\n", "  \n"}).Draw(t, "end"))
	}
	if rapid.Bool().Draw(t, "cut") {
		return strings.TrimSuffix(b.String(), "\n")
	}
	return b.String()
}

// TestAsGit compares what a walk leaves out with what git ignores: generated trees,
// with generated patterns at their top, below, and for the whole repository.
func TestAsGit(t *testing.T) {
	plainStars := needGit(t).plainStars
	top := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		r := newRepository(t, filepath.Join(top, fmt.Sprint(run)))
		if rapid.IntRange(0, 3).Draw(t, "exclude") == 0 {
			write(t, filepath.Join(r.top, ".git/info/exclude"), drawPatterns(t, plainStars))
		}
		// Several trees at once, since starting git is what takes the time.
		for i := range rapid.IntRange(1, 8).Draw(t, "trees") {
			tree := filepath.Join(r.top, fmt.Sprint(i))
			write(t, filepath.Join(tree, ".gitignore"), drawPatterns(t, plainStars))
			drawTree(t, tree, 3, plainStars)
		}
		for _, d := range r.compare(t) {
			t.Errorf("%s", d)
		}
		if err := os.RemoveAll(r.top); err != nil {
			t.Fatal(err)
		}
	})
}

func drawTree(t *rapid.T, dir string, depth int, plainStars bool) {
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 6, rapid.ID).Draw(t, "names") {
		child := filepath.Join(dir, name)
		switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
		case kind < 3 || depth == 1:
			write(t, child, "")
		case kind == 3:
			if err := os.Symlink(".", child); err != nil {
				t.Fatal(err)
			}
		default:
			if err := os.Mkdir(child, 0o755); err != nil {
				t.Fatal(err)
			}
			if kind == 4 && rapid.Bool().Draw(t, "list") {
				write(t, filepath.Join(child, ".gitignore"), drawPatterns(t, plainStars))
			}
			drawTree(t, child, depth-1, plainStars)
		}
	}
}

// TestBytesAsGit asks about every byte that can be a name and every class.
func TestBytesAsGit(t *testing.T) {
	r := needGit(t)
	for b := 1; b < 256; b++ {
		if name := string([]byte{byte(b)}); name != "/" && name != "." {
			write(t, r.top+"/bytes/"+name, "")
		}
	}
	for _, pattern := range []string{
		"[[:alnum:]]", "[[:alpha:]]", "[[:blank:]]", "[[:cntrl:]]", "[[:digit:]]", "[[:graph:]]", "[[:lower:]]", "[[:print:]]",
		"[[:punct:]]", "[[:space:]]", "[[:upper:]]", "[[:xdigit:]]", "[!a]", "[^[:alpha:]]", "[ -~]", "[\x80-\xff]", "?", "bytes/[!a]", "bytes/?",
	} {
		write(t, r.top+"/.gitignore", pattern)
		for _, d := range r.compare(t) {
			t.Errorf("%s: %s", pattern, d)
		}
	}
}

// TestOrderAsGit has patterns that contradict each other in all places that git reads them
// from when it lists files: one given on the command line has the last word.
func TestOrderAsGit(t *testing.T) {
	r := needGit(t)
	sources := [][]string{{"a", "!b", "*.c", "!sub/e"}, {"!a", "b", "!x.c", "/sub/d"}, {"b", "!y.c", "sub/e"}}
	for _, name := range []string{"a", "b", "x.c", "y.c", "sub/a", "sub/b", "sub/d", "sub/e", "sub/y.c"} {
		write(t, filepath.Join(r.top, name), "")
	}
	for turn := range len(sources) {
		from, dir, over := sources[turn], sources[(turn+1)%3], sources[(turn+2)%3]
		write(t, filepath.Join(r.top, ".git/from"), strings.Join(from, "\n"))
		write(t, filepath.Join(r.top, ".gitignore"), strings.Join(dir, "\n"))
		args := []string{"ls-files", "-z", "--others", "--exclude-from=.git/from", "--exclude-per-directory=.gitignore"}
		for _, pattern := range over {
			args = append(args, "--exclude="+pattern)
		}
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = r.top
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		m := &ignore.Matcher{Over: ignore.ParseLines(over)}
		m.Push("", ignore.ParseLines(from))
		excluded := make(map[string]bool)
		walk(t, m, r.top, "", excluded, false)
		kept := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		for name, gone := range excluded {
			info, err := os.Stat(filepath.Join(r.top, name))
			if err != nil {
				t.Fatal(err)
			}
			if !info.IsDir() && gone == slices.Contains(kept, name) {
				t.Errorf("turn %d: %s is left out: %v, git keeps %q", turn, name, gone, kept)
			}
		}
	}
}
