package restore_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// TestRestoreOverSharedFiles restores over names of files that have others outside of the
// target, or that the snapshot has as files of their own: those keep what they are.
func TestRestoreOverSharedFiles(t *testing.T) {
	src, dst, outside := t.TempDir(), t.TempDir(), t.TempDir()
	must := snaptest.Musts(t)
	at := time.Unix(1_600_000_000, 1)
	modes := map[string]os.FileMode{"a": 0o640, "b": 0o600, "c": 0o604, "d": 0o604}
	for _, name := range []string{"a", "b", "c"} {
		path := filepath.Join(src, name)
		must(os.WriteFile(path, []byte("content"), 0o600), os.Chmod(path, modes[name]), os.Chtimes(path, at, at))
	}
	must(os.Link(filepath.Join(src, "c"), filepath.Join(src, "d")), unix.Mkfifo(filepath.Join(src, "fifo"), 0o600),
		unix.Setxattr(filepath.Join(src, "a"), "user.x", []byte("x"), 0))
	other := filepath.Join(outside, "file")
	must(os.WriteFile(other, []byte("content"), 0o600), os.Chtimes(other, at, at), unix.Mkfifo(filepath.Join(outside, "fifo"), 0o666),
		os.Chmod(filepath.Join(outside, "fifo"), 0o666), os.Link(filepath.Join(outside, "fifo"), filepath.Join(dst, "fifo")))
	for name := range modes {
		must(os.Link(other, filepath.Join(dst, name)))
	}
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	for i := range 2 {
		got, err := restore.Snapshot(t.Context(), store, res.ID, dst, restore.Options{Existing: restore.Overwrite})
		must(err)
		if got.Partial() || i == 1 && got.Bytes > 0 {
			t.Errorf("restore %d: %+v", i, got)
		}
	}
	mode := func(path string) os.FileMode {
		info, err := os.Lstat(path)
		must(err)
		return info.Mode().Perm()
	}
	for name, want := range modes {
		if have := mode(filepath.Join(dst, name)); have != want {
			t.Errorf("%s has %v, want %v", name, have, want)
		}
	}
	if n, _ := unix.Getxattr(other, "user.x", nil); n > 0 || mode(other) != 0o600 || mode(filepath.Join(outside, "fifo")) != 0o666 {
		t.Errorf("what is outside was changed: %v, %v, an attribute of %d bytes", mode(other), mode(filepath.Join(outside, "fifo")), n)
	}
	var c, d unix.Stat_t
	must(unix.Lstat(filepath.Join(dst, "c"), &c), unix.Lstat(filepath.Join(dst, "d"), &d))
	if c.Ino != d.Ino || c.Nlink != 2 {
		t.Errorf("c and d are %d and %d, with %d names", c.Ino, d.Ino, c.Nlink)
	}
}
