package fsys_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/decube/decube/snapshot/fsys"
)

// TestBorn asks when files were made: neither their other times nor a new name say.
func TestBorn(t *testing.T) {
	path := t.TempDir()
	before := time.Now().Add(-time.Second)
	if err := os.WriteFile(filepath.Join(path, "old name"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir, err := fsys.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	first, known := dir.Born("old name")
	if !known {
		t.Skip("this file system does not know when files were made")
	}
	if first.Before(before) || first.After(time.Now().Add(time.Second)) {
		t.Errorf("made at %v, and it is %v", first, time.Now())
	}
	long := time.Unix(1, 0)
	if err := os.Chtimes(filepath.Join(path, "old name"), long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(path, "old name"), filepath.Join(path, "name")); err != nil {
		t.Fatal(err)
	}
	if at, known := dir.Born("name"); !known || !at.Equal(first) {
		t.Errorf("with another name it was made at %v, before at %v", at, first)
	}
	if _, known := dir.Born("old name"); known {
		t.Error("what is not there was made")
	}
}
