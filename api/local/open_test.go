package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/decube/decube/api/local"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/repo"
)

func TestOpen(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	if _, err := local.Open(ctx, dir, local.Opening{}); !errors.Is(err, repo.ErrNoRepo) {
		t.Errorf("without a repository: %v", err)
	}
	if err := repo.Init(dir, repo.Seed{Identity: []byte("key"), Config: []byte("storage:\n  quota: 1GiB\n")}); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("not now")
	if _, err := local.Open(ctx, dir, local.Opening{Locked: func() error { return failure }}); !errors.Is(err, failure) {
		t.Errorf("while it cannot be prepared: %v", err)
	}
	called := false
	x, err := local.Open(ctx, dir, local.Opening{Locked: func() error {
		called = true
		if _, err := repo.Lock(dir); !errors.Is(err, repo.ErrLocked) {
			t.Errorf("it is prepared without the lock: %v", err)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := x.Stat(ctx); err != nil || st.Quota != 1<<30 || !called || x.ReadOnly || x.NoSpace != nil || x.Rebuilt != nil {
		t.Errorf("opened %+v, %v with %+v", st, err, x)
	}
	if _, err := local.Open(ctx, dir, local.Opening{}); !errors.Is(err, repo.ErrLocked) {
		t.Errorf("a second time: %v", err)
	}
	w, err := x.Blocks.NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(ctx, block.New(block.Raw, []byte("x")), func() {}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}

	// The disk is full, or nearly so.
	full := blockstore.Default()
	full.MinFree = 1 << 60
	x, err = local.Open(ctx, dir, local.Opening{Storage: &full})
	if err != nil || !errors.Is(x.Blocks.CheckWritable(ctx), blockstore.ErrNoSpace) {
		t.Fatalf("on a full disk: %v", err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}

	// The index is lost.
	if err := os.RemoveAll(filepath.Join(repo.Dir(dir).Blocks(), "index")); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Open(ctx, dir, local.Opening{}); !errors.Is(err, blockstore.ErrIndex) {
		t.Errorf("without its index: %v", err)
	}
	x, err = local.Open(ctx, dir, local.Opening{Rebuild: true})
	if err != nil || x.Rebuilt == nil {
		t.Fatalf("to be rebuilt: %v", err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}
