package create_test

import (
	"path/filepath"
	"testing"

	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

func BenchmarkCreateTree(b *testing.B) {
	root := snaptest.GoTree(b)
	defer snaptest.CPU(b)()
	for b.Loop() {
		store := snaptest.NewStore()
		store.Discard = true
		res, err := create.Snapshot(b.Context(), store, create.Options{Path: root})
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
	path := snaptest.RandomFile(b, 1<<30)
	defer snaptest.CPU(b)()
	for b.Loop() {
		store := snaptest.NewStore()
		store.Discard = true
		res, err := create.Snapshot(b.Context(), store, create.Options{Path: path})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(res.Chunks), "chunks")
		b.SetBytes(res.Bytes)
	}
}

func BenchmarkCreateTreeUnchanged(b *testing.B) {
	store := snaptest.NewStore()
	store.Discard = true
	opts := create.Options{Path: snaptest.GoTree(b), Cache: filepath.Join(b.TempDir(), "cache")}
	snaptest.Create(b, store, opts)
	defer snaptest.CPU(b)()
	for b.Loop() {
		if res := snaptest.Create(b, store, opts); res.NewChunks != 0 || res.Reused != res.Files {
			b.Fatalf("%+v", res)
		}
	}
}
