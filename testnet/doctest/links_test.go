package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// link finds the targets of Markdown links within the repository.
var link = regexp.MustCompile(`\]\(([^):#\s]+)(?:#[^)]*)?\)`)

// TestLinks follows every link from a document to a file.
func TestLinks(t *testing.T) {
	found := 0
	for _, name := range documents(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			found++
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
	if found == 0 {
		t.Error("found no links")
	}
}
