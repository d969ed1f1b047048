package restore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// TestRestoreRepairs restores over a tree whose contents are whole and whose attributes are
// not, as a restore leaves it that was killed at the wrong moment.
func TestRestoreRepairs(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	must := snaptest.Musts(t)
	at := time.Unix(1_600_000_000, 1)
	file := filepath.Join(src, "dir/file")
	must(os.Mkdir(filepath.Dir(file), 0o750), os.WriteFile(file, []byte("content"), 0o640),
		unix.Setxattr(file, "user.x", []byte("x"), 0), os.Chtimes(file, at, at), os.Chtimes(filepath.Dir(file), at, at))
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	again := func(existing restore.Existing) restore.Result {
		t.Helper()
		got, err := restore.Snapshot(t.Context(), store, res.ID, dst, restore.Options{Existing: existing})
		must(err)
		return got
	}
	again(restore.Refuse)
	file = filepath.Join(dst, "dir/file")
	spoil := func() {
		must(unix.Removexattr(file, "user.x"), os.Chmod(file, 0o600), os.Chmod(filepath.Dir(file), 0o700))
	}
	whole := func() bool {
		info, err := os.Stat(file)
		must(err)
		dir, err := os.Stat(filepath.Dir(file))
		must(err)
		value := make([]byte, 8)
		n, _ := unix.Getxattr(file, "user.x", value)
		return info.Mode() == 0o640 && info.ModTime().Equal(at) && dir.Mode().Perm() == 0o750 && dir.ModTime().Equal(at) && n == 1 && bytes.HasPrefix(value, []byte("x"))
	}
	for _, existing := range []restore.Existing{restore.Refuse, restore.Overwrite} {
		spoil()
		if got := again(existing); got.Present != 1 || got.Bytes > 0 || got.Partial() {
			t.Errorf("%+v", got)
		}
		if !whole() {
			t.Errorf("%v: not repaired", existing)
		}
	}
	spoil()
	again(restore.Skip)
	if whole() {
		t.Error("a name that was to be left alone was changed")
	}
}

// TestIncludeMakesParents restores one file, and with it the directories that lead to it as
// they were recorded; those that were there before stay as they are.
func TestIncludeMakesParents(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	must := snaptest.Musts(t)
	at := time.Unix(1_600_000_000, 1)
	must(os.MkdirAll(filepath.Join(src, "a/b/c"), 0o755), os.WriteFile(filepath.Join(src, "a/b/c/file"), nil, 0o600),
		os.Chmod(filepath.Join(src, "a"), 0o750), os.Chmod(filepath.Join(src, "a/b"), 0o711),
		os.Chtimes(filepath.Join(src, "a/b"), at, at), os.Chtimes(filepath.Join(src, "a"), at, at))
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	must(os.Mkdir(filepath.Join(dst, "a"), 0o700))
	_, err := restore.Snapshot(t.Context(), store, res.ID, dst, restore.Options{Include: []string{"a/b/c/file"}})
	must(err)
	was, err := os.Stat(filepath.Join(dst, "a"))
	must(err)
	made, err := os.Stat(filepath.Join(dst, "a/b"))
	must(err)
	if was.Mode().Perm() != 0o700 || was.ModTime().Equal(at) {
		t.Errorf("what was there is %v, %v", was.Mode(), was.ModTime())
	}
	if made.Mode().Perm() != 0o711 || !made.ModTime().Equal(at) {
		t.Errorf("what was made is %v, %v", made.Mode(), made.ModTime())
	}
	all := filepath.Join(dst, "fresh")
	_, err = restore.Snapshot(t.Context(), store, res.ID, all, restore.Options{Include: []string{"a/b/c/file"}})
	must(err)
	if made, err = os.Stat(filepath.Join(all, "a")); err != nil || made.Mode().Perm() != 0o750 || !made.ModTime().Equal(at) {
		t.Errorf("the first of a fresh target: %v, %v", made, err)
	}
}
