// Package snaptest helps to test snapshots: a store in memory, and trees to take
// snapshots of.
package snaptest

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/create"
)

// Fixed makes two snapshots of equal trees equal.
func Fixed(path string) create.Options {
	return create.Options{Path: path, SourcePath: "/source", Time: time.Unix(1_700_000_000, 42)}
}

// Create takes a snapshot, or ends the test.
func Create(tb testing.TB, store *Store, opts create.Options) create.Result {
	tb.Helper()
	res, err := create.Snapshot(tb.Context(), store.Session(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

// Musts returns a function that ends the test with the first of its errors.
func Musts(t *testing.T) func(errs ...error) {
	t.Helper()
	return func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
}

// WriteTree makes a tree with one of everything.
func WriteTree(t *testing.T, root string) {
	t.Helper()
	must := Musts(t)
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

// Noise returns n bytes that are the same in every run.
func Noise(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}
