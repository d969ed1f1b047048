package create_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/snapshot/create"
)

func TestReadExcludes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "patterns")
	if err := os.WriteFile(name, []byte("*.o\n/build/"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := create.ReadExcludes(name); err != nil || !slices.Equal(got, []string{"*.o", "/build/"}) {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Truncate(name, 65<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := create.ReadExcludes(name); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file of 65 MiB: %v", err)
	}
}
