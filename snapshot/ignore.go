package snapshot

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"

	"github.com/decube/decube/snapshot/fsys"
)

// maxIgnoreFile bounds an IgnoreFile in bytes.
const maxIgnoreFile = 1 << 20

// ignorer decides what is left out. It belongs to the walk.
type ignorer struct {
	patterns []gitignore.Pattern
	matcher  gitignore.Matcher // nil: nothing is left out
}

func newIgnorer(opts CreateOptions) (*ignorer, error) {
	g := new(ignorer)
	for _, line := range opts.Exclude {
		if strings.ContainsRune(line, '\n') {
			return nil, fmt.Errorf("exclude pattern %q has several lines", line)
		}
		g.add(line, nil)
	}
	g.update()
	return g, nil
}

func (g *ignorer) add(line string, domain []string) {
	line = strings.TrimRight(line, "\r")
	if strings.TrimSpace(line) == "" || line[0] == '#' {
		return
	}
	g.patterns = append(g.patterns, gitignore.ParsePattern(line, domain))
}

func (g *ignorer) update() {
	g.matcher = nil
	if len(g.patterns) > 0 {
		g.matcher = gitignore.NewMatcher(g.patterns)
	}
}

// push adds the patterns of a directory's IgnoreFile; pop takes them away again.
func (g *ignorer) push(rel string, content []byte) (pop func()) {
	if len(content) == 0 {
		return func() {}
	}
	before := len(g.patterns)
	var domain []string
	if rel != "" {
		domain = strings.Split(rel, "/")
	}
	for line := range bytes.SplitSeq(content, []byte{'\n'}) {
		g.add(string(line), domain)
	}
	g.update()
	return func() {
		g.patterns = g.patterns[:before]
		g.update()
	}
}

func (g *ignorer) match(d *directory, it *item) bool {
	if g.matcher == nil {
		return false
	}
	return g.matcher.Match(strings.Split(d.path(it.name), "/"), it.st.IsDir())
}

// readIgnoreFile reads a directory's IgnoreFile.
func readIgnoreFile(dir *fsys.Dir) ([]byte, error) {
	fd, err := dir.OpenFile(IgnoreFile)
	if err != nil {
		return nil, err
	}
	defer fsys.CloseRead(fd)
	st, err := fsys.Fstat(fd)
	if err != nil || !st.IsRegular() {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(&fsys.Reader{Fd: fd}, maxIgnoreFile+1))
	if len(data) > maxIgnoreFile {
		return nil, fmt.Errorf("larger than %d bytes", maxIgnoreFile)
	}
	return data, err
}

// ReadExcludes reads a file of patterns for CreateOptions.Exclude, one per line.
func ReadExcludes(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read exclude patterns: %w", err)
	}
	defer f.Close()
	var lines []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read exclude patterns from %s: %w", path, err)
	}
	return lines, nil
}
