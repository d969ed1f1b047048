package create

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/ignore"
)

// maxIgnoreFile bounds an IgnoreFile in bytes.
const maxIgnoreFile = 1 << 20

// newMatcher returns the Matcher of a walk, which has the caller's patterns and will
// be given those of the directories.
func newMatcher(opts Options) (*ignore.Matcher, error) {
	for _, line := range slices.Concat(opts.ExcludeFrom, opts.Exclude) {
		if strings.Contains(line, "\n") {
			return nil, fmt.Errorf("exclude pattern %q has several lines", line)
		}
	}
	m := &ignore.Matcher{Over: ignore.ParseLines(opts.Exclude)}
	m.Push("", ignore.ParseLines(opts.ExcludeFrom))
	return m, nil
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

// maxExcludes bounds a file of patterns that a caller names, in bytes.
const maxExcludes = 64 << 20

// ReadExcludes reads a file of patterns for Options.ExcludeFrom, one per line. Files of more
// than 64 MiB are refused.
func ReadExcludes(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read exclude patterns: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxExcludes+1))
	if err == nil && len(content) > maxExcludes {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxExcludes)
	}
	if err != nil {
		return nil, fmt.Errorf("read exclude patterns: %w", err)
	}
	return ignore.Lines(content), nil
}
