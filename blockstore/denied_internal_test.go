package blockstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/internal/durable"
)

// othersFile has one file that this user may not write, whoever runs the test.
type othersFile struct {
	durable.FS
	name string
}

func (o othersFile) OpenWrite(name string) (durable.File, error) {
	if filepath.Base(name) == o.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return o.FS.OpenWrite(name)
}

// TestDenied tells a file of another user from one that is damaged.
func TestDenied(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.sst", "b.sst", "c.vlog"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("junk"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := denied(durable.OS, dir); err != nil {
		t.Errorf("files of our own: %v", err)
	}
	err := denied(othersFile{durable.OS, "b.sst"}, dir)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "b.sst") || !strings.Contains(err.Error(), "chown") {
		t.Errorf("got %v", err)
	}
	if err := denied(durable.OS, filepath.Join(dir, "missing")); err != nil {
		t.Errorf("no directory: %v", err)
	}
}
