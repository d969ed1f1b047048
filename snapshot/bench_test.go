package snapshot_test

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot"
)

// goTree returns the Go distribution, the tree T of the project's targets.
func goTree(b *testing.B) string {
	b.Helper()
	out, err := exec.CommandContext(b.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		b.Skip("no Go distribution here: ", err)
	}
	root := strings.TrimSpace(string(out))
	if _, err := os.Stat(filepath.Join(root, "src")); err != nil {
		b.Skip("no Go distribution here: ", err)
	}
	return root
}

// randomFile returns a file of size random bytes.
func randomFile(b *testing.B, size int64) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "random")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.Reader, size); err != nil {
		b.Fatal(err)
	}
	// Synced, so that its writing back does not fall into the measurement.
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		b.Fatal(err)
	}
	return path
}

// cpu reports the processor time of what is measured, which other work on the
// machine disturbs less than the time that passes.
func cpu(b *testing.B) (done func()) {
	b.Helper()
	used := func() float64 {
		var ru unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
			b.Fatal(err)
		}
		return float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9
	}
	before := used()
	return func() { b.ReportMetric((used()-before)/float64(b.N), "cpu-s/op") }
}

func BenchmarkCreateTree(b *testing.B) {
	root := goTree(b)
	defer cpu(b)()
	for b.Loop() {
		store := newMemStore()
		store.discard = true
		res, err := snapshot.Create(b.Context(), store, snapshot.CreateOptions{Path: root})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(res.Chunks), "chunks")
		b.ReportMetric(float64(res.Nodes), "nodes")
		b.ReportMetric(float64(res.Files), "files")
		b.SetBytes(res.Bytes)
	}
}

func BenchmarkCreateRandom(b *testing.B) {
	path := randomFile(b, 1<<30)
	defer cpu(b)()
	for b.Loop() {
		store := newMemStore()
		store.discard = true
		res, err := snapshot.Create(b.Context(), store, snapshot.CreateOptions{Path: path})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(res.Chunks), "chunks")
		b.SetBytes(res.Bytes)
	}
}

// benchmarkRestore restores into a new place each time. ext4 is slow in making files
// shortly after others were deleted, so DECUBE_BENCH_DIR may name a directory where
// everything is left for the caller to delete when all is measured.
func benchmarkRestore(b *testing.B, path string, opts snapshot.RestoreOptions) {
	b.Helper()
	store := newMemStore()
	res := create(b, store, snapshot.CreateOptions{Path: path})
	top := os.Getenv("DECUBE_BENCH_DIR")
	if top == "" {
		top = b.TempDir()
	}
	b.ResetTimer()
	defer cpu(b)()
	for range b.N {
		b.StopTimer()
		target, err := os.MkdirTemp(top, "restore") //nolint:usetesting // it may have to stay
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		got, err := snapshot.Restore(b.Context(), store, res.ID, target, opts)
		if err != nil || got.Partial() {
			b.Fatal(err, got.Problems)
		}
		b.SetBytes(got.Bytes)
	}
}

func BenchmarkRestoreTree(b *testing.B) { benchmarkRestore(b, goTree(b), snapshot.RestoreOptions{}) }

func BenchmarkRestoreTreeNoSync(b *testing.B) {
	benchmarkRestore(b, goTree(b), snapshot.RestoreOptions{NoSync: true})
}

func BenchmarkRestoreRandom(b *testing.B) {
	benchmarkRestore(b, randomFile(b, 1<<30), snapshot.RestoreOptions{})
}

func BenchmarkCreateTreeUnchanged(b *testing.B) {
	store := newMemStore()
	store.discard = true
	opts := snapshot.CreateOptions{Path: goTree(b), Cache: filepath.Join(b.TempDir(), "cache")}
	create(b, store, opts)
	defer cpu(b)()
	for b.Loop() {
		if res := create(b, store, opts); res.NewChunks != 0 || res.Reused != res.Files {
			b.Fatalf("%+v", res)
		}
	}
}
