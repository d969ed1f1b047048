package blockstore_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/decube/decube/blockstore"
)

const readerEnv = "BLOCKSTORE_TEST_READER"

// TestCopyOfOneKilled runs itself and is killed while it has a store open for reading. The
// next reader removes the copy of the index that it left, and not that of a living one.
func TestCopyOfOneKilled(t *testing.T) {
	if dir := os.Getenv(readerEnv); dir != "" {
		readOnly(t, dir)
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		t.Fatal("it lives on: ", err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCopyOfOneKilled$", "-test.count=1")
	cmd.Env = append(os.Environ(), readerEnv+"="+dir)
	if out, err := cmd.CombinedOutput(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("%v\n%s", err, out)
	}
	copies := func(want int) {
		t.Helper()
		if list, err := filepath.Glob(filepath.Join(os.TempDir(), "decube-index-*")); err != nil || len(list) != want {
			t.Errorf("there are %q, want %d: %v", list, want, err)
		}
	}
	copies(1)
	var stores []*blockstore.Store
	for i := range 3 {
		stores = append(stores, readOnly(t, dir))
		copies(i + 1)
	}
	for _, s := range stores {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	copies(0)
}
