package ignore_test

import (
	"fmt"
	"testing"

	"github.com/decube/decube/snapshot/ignore"
)

// BenchmarkExcluded asks about a tree of 100,000 files with 400 patterns of which
// nearly none matches, which is the worst case: all are tried. An operation is the
// whole tree, and must not take more than 1.5 s.
func BenchmarkExcluded(b *testing.B) {
	for _, kind := range []string{"name%d", "*.ext%d", "dir%d/", "/top%d/*.o", "**/deep%d/**/x", "*[0-9]part%d*", "src/**/gen*_%d?.go", "!kept%d"} {
		b.Run(kind, func(b *testing.B) { benchmark(b, []string{kind}) })
	}
	b.Run("mixed", func(b *testing.B) {
		benchmark(b, []string{"name%d", "*.ext%d", "dir%d/", "/top%d/*.o", "**/deep%d/**/x", "*[0-9]part%d*", "src/**/gen*_%d?.go", "!kept%d"})
	})
}

func benchmark(b *testing.B, kinds []string) {
	b.Helper()
	var patterns []string
	for i := range 400 {
		patterns = append(patterns, fmt.Sprintf(kinds[i%len(kinds)], i))
	}
	var m ignore.Matcher
	m.Push("", ignore.ParseLines(patterns))
	var names [100]string
	for i := range names {
		names[i] = fmt.Sprintf("some_file_%02d.go", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		for d := range 1000 {
			dir := dirs[d%len(dirs)]
			for _, name := range names {
				if m.Excluded(dir, name, false) {
					b.Fatalf("%s/%s is left out", dir, name)
				}
			}
		}
	}
}

var dirs = []string{"src/github.com/project/internal/part1", "src", "docs/design", "deep/deeper/deepest/of/all/there/are"}
