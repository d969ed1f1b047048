package restore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// breaking fails after some blocks, and calls hook before each.
type breaking struct {
	*snaptest.Store
	left atomic.Int64
	hook func(id block.ID)
}

var errBroken = errors.New("the source broke")

func (s *breaking) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	if s.left.Add(-1) < 0 {
		return block.Block{}, errBroken
	}
	if s.hook != nil {
		s.hook(id)
	}
	return s.Store.Get(ctx, id, buf)
}

// TestResume breaks a restore at every block it reads, one after the other, and
// continues: nothing half-written has a final name, and in the end all is there.
func TestResume(t *testing.T) {
	src, dst := t.TempDir(), filepath.Join(t.TempDir(), "out")
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	for n := int64(1); ; n++ {
		source := &breaking{Store: store}
		source.left.Store(n)
		res, err := restore.Snapshot(t.Context(), source, a.ID, dst, restore.Options{NoSync: true})
		if err == nil {
			if res.Partial() {
				t.Fatal(res.Problems)
			}
			break
		}
		if !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		compareFiles(t, src, dst)
		leave(t, dst)
	}
	if b := snaptest.Create(t, store, snaptest.Fixed(dst)); b.ID != a.ID {
		t.Errorf("the restored tree's snapshot is %s, the original's %s", b.ID, a.ID)
	}
}

// leave puts a leftover into the target, as a killed restore would.
func leave(t *testing.T, dst string) {
	t.Helper()
	if err := os.MkdirAll(dst, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dst, ".decube-restore-1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// compareFiles checks that every file in dst is complete.
func compareFiles(t *testing.T, src, dst string) {
	t.Helper()
	err := filepath.Walk(dst, func(path string, info os.FileInfo, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(info.Name(), ".decube-restore-") {
			return err
		}
		rel, _ := filepath.Rel(dst, path)
		want, err1 := os.ReadFile(filepath.Join(src, rel))
		got, err2 := os.ReadFile(path)
		if err1 != nil || err2 != nil || !bytes.Equal(want, got) {
			t.Errorf("%s is not as it was: %v, %v", rel, err1, err2)
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestExistingContent(t *testing.T) {
	src := t.TempDir()
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	target := func() string {
		dst := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dst, "sub"), 0o755),
			os.WriteFile(filepath.Join(dst, "small"), []byte("mine"), 0o644),
			os.WriteFile(filepath.Join(dst, "sub/other"), []byte("mine too"), 0o644)); err != nil {
			t.Fatal(err)
		}
		return dst
	}
	read := func(path ...string) string {
		data, err := os.ReadFile(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}

	dst := target()
	_, err := restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{})
	if !errors.Is(err, restore.ErrTargetExists) || !strings.Contains(err.Error(), `"small"`) || !strings.Contains(err.Error(), `"sub/other"`) {
		t.Errorf("refuse: %v", err)
	}
	if names, _ := os.ReadDir(dst); len(names) != 2 {
		t.Errorf("something was written: %v", names)
	}

	if _, err := restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{Existing: restore.Skip}); err != nil {
		t.Error(err)
	}
	if read(dst, "small") != "mine" || read(dst, "sub/hard") != "hello" || read(dst, "sub/other") != "mine too" {
		t.Error("skip: not as it should be")
	}

	dst = target()
	if _, err := restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{Existing: restore.Overwrite}); err != nil {
		t.Error(err)
	}
	if read(dst, "small") != "hello" || read(dst, "sub/other") != "mine too" {
		t.Error("overwrite: not as it should be")
	}
}

func TestInclude(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	if _, err := restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{Include: []string{"sub/hard", "/fifo"}}); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dst, "*"))
	inner, _ := filepath.Glob(filepath.Join(dst, "sub", "*"))
	if len(names) != 2 || len(inner) != 1 {
		t.Errorf("%v %v", names, inner)
	}
}

// TestSymlinkRace puts a symbolic link in the place of a directory while files are
// restored into it: nothing may appear where it leads.
func TestSymlinkRace(t *testing.T) {
	src, dst, outside := t.TempDir(), filepath.Join(t.TempDir(), "out"), t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(src, "d"), 0o755),
		os.WriteFile(filepath.Join(src, "d", "victim"), []byte("written outside"), 0o644)); err != nil {
		t.Fatal(err)
	}
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	source := &breaking{Store: store, hook: func(id block.ID) {
		if id.Codec() != block.Raw {
			return
		}
		if err := errors.Join(os.Remove(filepath.Join(dst, "d")), os.Symlink(outside, filepath.Join(dst, "d"))); err != nil {
			t.Error(err)
		}
	}}
	source.left.Store(100)
	_, err := restore.Snapshot(t.Context(), source, a.ID, dst, restore.Options{})
	if !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("got %v", err)
	}
	if names, _ := os.ReadDir(outside); len(names) != 0 {
		t.Errorf("written outside: %v", names)
	}
}

func TestTargetIsLocked(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	source := &breaking{Store: store}
	source.left.Store(1000)
	var second error
	var once atomic.Bool
	source.hook = func(id block.ID) {
		if id.Codec() == block.Raw && once.CompareAndSwap(false, true) {
			_, second = restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{})
		}
	}
	if _, err := restore.Snapshot(t.Context(), source, a.ID, dst, restore.Options{}); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(second, restore.ErrTargetBusy) {
		t.Errorf("a second restore at the same time: %v", second)
	}
}

// TestFullDisk restores onto a file system that is too small.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	dst := t.TempDir()
	if err := unix.Mount("tmpfs", dst, "tmpfs", 0, "size=4m"); err != nil {
		t.Skip("cannot mount here: ", err)
	}
	defer func() {
		if err := unix.Unmount(dst, 0); err != nil {
			t.Error(err)
		}
	}()
	src := t.TempDir()
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	_, err := restore.Snapshot(t.Context(), store, a.ID, filepath.Join(dst, "out"), restore.Options{})
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v", err)
	}
	compareFiles(t, src, filepath.Join(dst, "out"))
	left, _ := filepath.Glob(filepath.Join(dst, "out", ".decube-restore-*"))
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDamagedChunk restores all but the file whose chunk is lost.
func TestDamagedChunk(t *testing.T) {
	src := t.TempDir()
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	it, err := snapshot.Lookup(t.Context(), store, a.ID, "big")
	if err != nil {
		t.Fatal(err)
	}
	delete(store.Blocks, it.Entry.Extents[0].Chunk.ID)
	if _, err := restore.Snapshot(t.Context(), store, a.ID, t.TempDir(), restore.Options{}); !errors.Is(err, block.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	res, err := restore.Snapshot(t.Context(), store, a.ID, t.TempDir(), restore.Options{KeepGoing: true})
	if err != nil || len(res.Problems) != 1 || res.Problems[0].Path != "big" || res.Files != a.Files-1 {
		t.Errorf("%+v, %v", res, err)
	}
	v, err := snapshot.Verify(t.Context(), store, a.ID, snapshot.VerifyOptions{ReadData: true})
	if err != nil || len(v.Problems) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestSingleFile restores a snapshot of one file into a directory.
func TestSingleFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("alone"), 0o640); err != nil {
		t.Fatal(err)
	}
	store, dst := snaptest.NewStore(), t.TempDir()
	a := snaptest.Create(t, store, snaptest.Fixed(path))
	for range 2 {
		if _, err := restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(dst, "file")); err != nil || string(data) != "alone" {
		t.Errorf("%q, %v", data, err)
	}
	it, err := snapshot.Lookup(t.Context(), store, a.ID, "file")
	if err != nil || it.Entry.Type != manifest.File || it.Entry.ModTime.Time().After(time.Now()) {
		t.Error(it, err)
	}
}

// TestIncludeNothing names paths that the snapshot does not have.
func TestIncludeNothing(t *testing.T) {
	src := t.TempDir()
	snaptest.WriteTree(t, src)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(src))
	dst := filepath.Join(t.TempDir(), "out")
	for _, path := range []string{"nothing", "sub/nothing", "../etc"} {
		_, err := restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{Include: []string{"sub", path}})
		if !errors.Is(err, snapshot.ErrNotInSnapshot) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Lstat(dst); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the target was made: %v", path, err)
		}
	}
}
