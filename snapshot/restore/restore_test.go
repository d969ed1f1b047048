package restore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

func TestRoundTrip(t *testing.T) {
	src, dst := t.TempDir(), filepath.Join(t.TempDir(), "out")
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	if a.Partial() {
		t.Fatal(a.Problems)
	}
	res, err := restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{})
	if err != nil || res.Partial() {
		t.Fatal(err, res.Problems)
	}
	if b := snaptest.Create(t, store, snaptest.Fixed(dst)); b.ID != a.ID {
		t.Errorf("the restored tree's snapshot is %s, the original's %s", b.ID, a.ID)
	}
	again, err := restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{VerifyExisting: true})
	if err != nil || again.Files != 0 || again.Others != 0 {
		t.Errorf("restored again: %+v, %v", again, err)
	}
}

// TestRestoreWhereNothingCanBeWritten says so once, and not of every name.
func TestRestoreWhereNothingCanBeWritten(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root needs no write permission, but /proc holds nothing that it makes.
		barred(t, "/proc/self/fdinfo")
		return
	}
	dst := t.TempDir()
	if err := os.Chmod(dst, 0o500); err != nil {
		t.Fatal(err)
	}
	barred(t, dst)
}

func barred(t *testing.T, dst string) {
	t.Helper()
	src := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(src, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	got, err := restore.Snapshot(t.Context(), store, res.ID, dst, restore.Options{Existing: restore.Overwrite, NoSync: true})
	if err == nil || !strings.Contains(err.Error(), "nothing can be written there") {
		t.Errorf("%+v, %v", got, err)
	}
}
