package restore_test

import (
	"os"
	"testing"

	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// benchmarkRestore restores into a new place each time. ext4 is slow in making files
// shortly after others were deleted, so DECUBE_BENCH_DIR may name a directory where
// everything is left for the caller to delete when all is measured.
func benchmarkRestore(b *testing.B, path string, opts restore.Options) {
	b.Helper()
	store := snaptest.NewStore()
	res := snaptest.Create(b, store, create.Options{Path: path})
	top := os.Getenv("DECUBE_BENCH_DIR")
	if top == "" {
		top = b.TempDir()
	}
	b.ResetTimer()
	defer snaptest.CPU(b)()
	for range b.N {
		b.StopTimer()
		target, err := os.MkdirTemp(top, "restore") //nolint:usetesting // it may have to stay
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		got, err := restore.Snapshot(b.Context(), store, res.ID, target, opts)
		if err != nil || got.Partial() {
			b.Fatal(err, got.Problems)
		}
		b.SetBytes(got.Bytes)
	}
}

func BenchmarkRestoreTree(b *testing.B) { benchmarkRestore(b, snaptest.GoTree(b), restore.Options{}) }

func BenchmarkRestoreTreeNoSync(b *testing.B) {
	benchmarkRestore(b, snaptest.GoTree(b), restore.Options{NoSync: true})
}

func BenchmarkRestoreRandom(b *testing.B) {
	benchmarkRestore(b, snaptest.RandomFile(b, 1<<30), restore.Options{})
}
