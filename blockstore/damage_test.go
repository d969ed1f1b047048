package blockstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/blockstore/storetest"
)

// damage inverts a byte in the middle of a block's bytes, wherever they are.
func damage(t *testing.T, dir string, b block.Block) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "packs", "*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range packs {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := strings.Index(string(data), string(b.Data()))
		if at < 0 {
			continue
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		at += b.Len() / 2
		if _, err := f.WriteAt([]byte{data[at] ^ 1}, int64(at)); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no pack holds %s", b.ID())
}

func quarantined(t *testing.T, s *blockstore.Store) (ids []block.ID) {
	t.Helper()
	for q, err := range s.Quarantined(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if q.Reason == "" || q.Found.IsZero() {
			t.Errorf("%+v", q)
		}
		ids = append(ids, q.ID)
	}
	return ids
}

func TestDamagedBlockIsHealed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	blocks := storetest.Blocks(1, 100, 5000, 1<<20)
	if err := s.Put(t.Context(), blocks...); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		damage(t, dir, b)
		_, err := s.Get(t.Context(), b.ID(), nil)
		var corrupt *blockstore.CorruptError
		if !errors.As(err, &corrupt) || corrupt.ID != b.ID() || !errors.Is(err, blockstore.ErrCorrupt) {
			t.Fatalf("Get of damaged bytes: %v", err)
		}
		if _, err := s.Get(t.Context(), b.ID(), nil); !errors.Is(err, block.ErrNotFound) {
			t.Fatalf("Get again: %v", err)
		}
		if ids := quarantined(t, s); len(ids) == 0 {
			t.Error("the quarantine is empty")
		}
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	storetest.CheckHeld(t, s, blocks...)
	if err := s.SetPin(t.Context(), storetest.PinOf(blocks[0], blocks...)); err != nil {
		t.Fatal(err)
	}
	res := storetest.Collect(t, s, false)
	if res.Quarantined != 3 || res.FreedBytes < 1<<20 || len(quarantined(t, s)) != 0 {
		t.Errorf("%+v", res)
	}
	storetest.CheckHeld(t, s, blocks...)
}

func TestQuarantineSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := storetest.Block(1000, 1)
	if err := s.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	damage(t, dir, b)
	if _, err := s.Get(t.Context(), b.ID(), nil); !errors.Is(err, blockstore.ErrCorrupt) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	if ids := quarantined(t, s); len(ids) != 1 || ids[0] != b.ID() {
		t.Errorf("got %v", ids)
	}
	if _, err := s.Get(t.Context(), b.ID(), nil); !errors.Is(err, block.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestFsckFindsAndRepairs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer func() { _ = s.Close() }()
	blocks := storetest.Blocks(1, 100, 5000, 100<<10, 1<<20)
	if err := s.Put(t.Context(), blocks...); err != nil {
		t.Fatal(err)
	}
	fsck := func(opts blockstore.FsckOptions) blockstore.FsckReport {
		t.Helper()
		r, err := s.Fsck(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := fsck(blockstore.FsckOptions{ReadData: true}); !r.OK() || r.Blocks != 4 || r.ReadBlocks != 4 || r.Unindexed != 0 {
		t.Errorf("healthy: %+v", r)
	}
	damage(t, dir, blocks[2])
	if r := fsck(blockstore.FsckOptions{}); !r.OK() {
		t.Errorf("headers only: %+v", r)
	}
	if r := fsck(blockstore.FsckOptions{ReadData: true}); r.Damaged != 1 || len(r.Findings) != 1 || r.Findings[0].ID != blocks[2].ID() || r.Quarantined != 0 {
		t.Errorf("damaged: %+v", r)
	}
	if r := fsck(blockstore.FsckOptions{ReadData: true, Repair: true}); r.Damaged != 1 || r.Quarantined != 1 {
		t.Errorf("repair: %+v", r)
	}
	if r := fsck(blockstore.FsckOptions{ReadData: true}); !r.OK() || r.Blocks != 3 {
		t.Errorf("repaired: %+v", r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "packs", "00000001.pack"), 200<<10); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if r := fsck(blockstore.FsckOptions{Repair: true}); r.Missing != 0 && r.Damaged+r.Missing != 1 {
		t.Errorf("a shortened pack: %+v", r)
	}
	if _, err := s.Get(t.Context(), blocks[3].ID(), nil); err == nil {
		t.Error("a block behind the end was read")
	}
	if err := s.Put(t.Context(), blocks...); err != nil {
		t.Fatal(err)
	}
	storetest.CheckHeld(t, s, blocks...)
}

func TestRebuild(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var blocks []block.Block
	for i := range 40 { // more than one pack
		blocks = append(blocks, storetest.Block(i*40_000, 1))
	}
	if err := s.Put(t.Context(), blocks...); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPin(t.Context(), storetest.PinOf(blocks[0], blocks...)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(dir, "index")
	for _, ruin := range []func() error{
		func() error { return os.RemoveAll(index) },
		func() error { return os.WriteFile(filepath.Join(index, "MANIFEST"), []byte("nonsense"), 0o600) },
	} {
		if err := ruin(); err != nil {
			t.Fatal(err)
		}
		if _, err := blockstore.Open(dir, testConfig(), blockstore.Options{}); !errors.Is(err, blockstore.ErrIndex) || !strings.Contains(err.Error(), "fsck") {
			t.Fatalf("open a store without an index: %v", err)
		}
		r, err := blockstore.Rebuild(t.Context(), dir, testConfig(), nil, blockstore.Options{})
		if err != nil || r.Blocks != 40 || r.Damaged != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		s := open(t, dir)
		storetest.CheckHeld(t, s, blocks...)
		res := storetest.Collect(t, s, false)
		if res.SweptBlocks != 0 || res.Pins != 1 {
			t.Errorf("the pins did not survive: %+v", res)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVersionAndLock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := blockstore.Open(dir, testConfig(), blockstore.Options{}); !errors.Is(err, blockstore.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "version"), []byte("decube-blockstore 7 something else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := blockstore.Open(dir, testConfig(), blockstore.Options{})
	var v *blockstore.VersionError
	if !errors.As(err, &v) || v.Found != 7 || v.Want != 3 || !errors.Is(err, blockstore.ErrVersion) {
		t.Errorf("a newer version: %v", err)
	}
}
