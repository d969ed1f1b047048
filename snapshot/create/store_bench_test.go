package create_test

import (
	"testing"

	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

// The writer and the store are what Create and Restore are made for.
var (
	_ create.Sink     = (*blockstore.Writer)(nil)
	_ snapshot.Source = (*blockstore.Store)(nil)
)

// BenchmarkStoreCreateRandom takes a snapshot into a real store, durable at the end.
func BenchmarkStoreCreateRandom(b *testing.B) { benchmarkStore(b, snaptest.RandomFile(b, 1<<30)) }

// BenchmarkStoreCreateTree does the same with the Go distribution.
func BenchmarkStoreCreateTree(b *testing.B) { benchmarkStore(b, snaptest.GoTree(b)) }

func benchmarkStore(b *testing.B, path string) {
	b.Helper()
	defer snaptest.CPU(b)()
	for range b.N {
		b.StopTimer()
		store, err := blockstore.Open(b.TempDir(), blockstore.Default(), blockstore.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		w, err := store.NewWriter(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		res, err := create.Snapshot(b.Context(), w, create.Options{Path: path})
		if err != nil || res.Partial() {
			b.Fatal(err, res.Problems)
		}
		b.StopTimer()
		b.SetBytes(res.Bytes)
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
