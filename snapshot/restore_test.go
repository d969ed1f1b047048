package snapshot_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot"
)

// fixed makes two snapshots of equal trees equal.
func fixed(path string) snapshot.CreateOptions {
	return snapshot.CreateOptions{Path: path, SourcePath: "/source", Time: time.Unix(1_700_000_000, 42)}
}

func create(tb testing.TB, store *memStore, opts snapshot.CreateOptions) snapshot.Result {
	tb.Helper()
	res, err := snapshot.Create(tb.Context(), store.session(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

// musts returns a function that ends the test with the first of its errors.
func musts(t *testing.T) func(errs ...error) {
	t.Helper()
	return func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
}

// writeTree makes a tree with one of everything.
func writeTree(t *testing.T, root string) {
	t.Helper()
	must := musts(t)
	must(os.MkdirAll(filepath.Join(root, "sub/empty"), 0o755))
	must(os.WriteFile(filepath.Join(root, "small"), []byte("hello"), 0o640))
	must(os.WriteFile(filepath.Join(root, "sub/zero"), nil, 0o600))
	must(os.WriteFile(filepath.Join(root, "sub/odd\xff\nname"), []byte("odd"), 0o444))
	big := make([]byte, 9<<20+123)
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	must(os.WriteFile(filepath.Join(root, "big"), big, 0o644))
	must(os.WriteFile(filepath.Join(root, "middle"), big[:300<<10], 0o644))
	must(os.Symlink("../dangling", filepath.Join(root, "sub/link")))
	must(os.Symlink("/etc/passwd", filepath.Join(root, "absolute")))
	must(os.Link(filepath.Join(root, "small"), filepath.Join(root, "sub/hard")))
	must(unix.Mkfifo(filepath.Join(root, "fifo"), 0o620))
	f, err := os.Create(filepath.Join(root, "sparse"))
	must(err)
	_, err = f.WriteAt([]byte("data"), 1<<20)
	must(err)
	must(f.Truncate(8 << 20))
	must(f.Close())
	must(unix.Lsetxattr(filepath.Join(root, "small"), "user.note", []byte("of note"), 0))
	must(unix.Lsetxattr(filepath.Join(root, "sub"), "user.dir", []byte{0, 1, 2}, 0))
	old := time.Unix(-1234567, 987654321)
	must(os.Chtimes(filepath.Join(root, "small"), old, old))
	must(os.Chmod(filepath.Join(root, "sub/empty"), 0o1755))
}

func TestRoundTrip(t *testing.T) {
	src, dst := t.TempDir(), filepath.Join(t.TempDir(), "out")
	writeTree(t, src)
	store := newMemStore()
	a := create(t, store, fixed(src))
	if a.Partial() {
		t.Fatal(a.Problems)
	}
	res, err := snapshot.Restore(t.Context(), store, a.ID, dst, snapshot.RestoreOptions{})
	if err != nil || res.Partial() {
		t.Fatal(err, res.Problems)
	}
	if b := create(t, store, fixed(dst)); b.ID != a.ID {
		t.Errorf("the restored tree's snapshot is %s, the original's %s", b.ID, a.ID)
	}
	again, err := snapshot.Restore(t.Context(), store, a.ID, dst, snapshot.RestoreOptions{VerifyExisting: true})
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
	store := newMemStore()
	res := create(t, store, fixed(src))
	got, err := snapshot.Restore(t.Context(), store, res.ID, dst, snapshot.RestoreOptions{Existing: snapshot.Overwrite, NoSync: true})
	if err == nil || !strings.Contains(err.Error(), "nothing can be written there") {
		t.Errorf("%+v, %v", got, err)
	}
}
