package create_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

// TestNamesThatMoveWithinALargeDirectory changes names that are listed and not looked at
// yet, as mail programs do when a message is read. What is there under another name is in
// the snapshot under that; a name that is only gone is nobody's loss.
func TestNamesThatMoveWithinALargeDirectory(t *testing.T) {
	for what, tc := range map[string]struct {
		change func(dir string) error
		want   string // in place of f1999
	}{
		"renamed": {func(dir string) error {
			return os.Rename(filepath.Join(dir, "f1999"), filepath.Join(dir, "f1000:seen"))
		}, "f1000:seen"},
		"renamed to be the first of two names": {func(dir string) error {
			return os.Rename(filepath.Join(dir, "f1999"), filepath.Join(dir, "f1499+"))
		}, "f1499+"},
		"deleted": {func(dir string) error { return os.Remove(filepath.Join(dir, "f1999")) }, ""},
		"moved in": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "f1999")), os.Rename(dir+".other", filepath.Join(dir, "f1999+")))
		}, "f1999+"},
		"a directory": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "f1999")), os.Mkdir(filepath.Join(dir, "a"), 0o700))
		}, "a"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			must := snaptest.Musts(t)
			want := []string{""}
			for i := range 1999 {
				// The first keep the walk from getting to the last; the rest are names.
				size := 0
				if i < 700 {
					size = 70 << 10
				}
				want = append(want, fmt.Sprintf("f%04d", i))
				must(os.WriteFile(filepath.Join(dir, want[i+1]), make([]byte, size), 0o600))
			}
			must(os.WriteFile(filepath.Join(dir, "f1500"), snaptest.Noise(70<<10), 0o600))
			must(os.Link(filepath.Join(dir, "f1500"), filepath.Join(dir, "f1999")), os.WriteFile(dir+".other", nil, 0o600))
			if tc.want != "" {
				want = append(want, tc.want)
				slices.Sort(want)
			}
			var once sync.Once
			store := snaptest.NewStore()
			res, err := create.Snapshot(t.Context(), &hooked{store, func() {
				once.Do(func() { must(tc.change(dir)) })
			}}, snaptest.Fixed(dir))
			if err != nil || res.Partial() {
				t.Fatalf("%v, %v", res.Problems, err)
			}
			if got := paths(t, store, res.ID); !slices.Equal(got, want) {
				t.Errorf("%d names, want %d: %q", len(got), len(want), got)
			}
			if v, err := snapshot.Verify(t.Context(), store, res.ID, snapshot.VerifyOptions{ReadData: true}); err != nil || len(v.Problems) > 0 {
				t.Errorf("it does not verify: %v %v", err, v.Problems)
			}
		})
	}
}

// restless is a directory of one name that is another one each time, and never there.
type restless struct {
	fs.Inode

	listed atomic.Int64
}

func (d *restless) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	name := fmt.Sprintf("name-%d", d.listed.Add(1))
	return fs.NewListDirStream([]fuse.DirEntry{{Name: name, Mode: syscall.S_IFREG}}), 0
}

// TestNamesThatGoOnChanging gives a directory up after a few rounds, and says so.
func TestNamesThatGoOnChanging(t *testing.T) {
	dir := t.TempDir()
	server, err := fs.Mount(dir, new(restless), &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true}})
	if err != nil {
		t.Skip("no FUSE here: ", err)
	}
	defer func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
	}()
	_, res := verified(t, snaptest.Fixed(dir))
	if len(res.Problems) != 1 || !errors.Is(res.Problems[0], create.ErrRenamed) {
		t.Errorf("%v", res.Problems)
	}
}

// twice is a directory that lists its names twice, as some file systems do with what is
// put into them again while they are listed.
type twice struct{ fs.Inode }

func (d *twice) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	list := []fuse.DirEntry{{Name: "a", Mode: syscall.S_IFREG}, {Name: "b", Mode: syscall.S_IFREG}}
	return fs.NewListDirStream(append(list, list...)), 0
}

func TestNamesThatAreListedTwice(t *testing.T) {
	root, dir := new(twice), t.TempDir()
	server, err := fs.Mount(dir, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true},
		OnAdd: func(ctx context.Context) {
			for _, name := range []string{"a", "b"} {
				file := &fs.MemRegularFile{Data: []byte(name), Attr: fuse.Attr{Mode: 0o644, Nlink: 1}}
				root.AddChild(name, root.NewPersistentInode(ctx, file, fs.StableAttr{Mode: syscall.S_IFREG}), false)
			}
		},
	})
	if err != nil {
		t.Skip("no FUSE here: ", err)
	}
	defer func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
	}()
	store, res := verified(t, snaptest.Fixed(dir))
	if got := paths(t, store, res.ID); res.Partial() || res.Files != 2 || !slices.Equal(got, []string{"", "a", "b"}) {
		t.Errorf("%q, %+v", got, res)
	}
}

// TestSnapshotOfItsOwnCache takes a snapshot of the directory that the cache is in: what is
// made for as long as the snapshot takes is no part of it.
func TestSnapshotOfItsOwnCache(t *testing.T) {
	dir := t.TempDir()
	opts := snaptest.Fixed(dir)
	opts.Cache = filepath.Join(dir, "cache")
	store, res := verified(t, opts)
	if got := paths(t, store, res.ID); len(got) != 1 || res.Partial() {
		t.Errorf("it holds %q, %v", got, res.Problems)
	}
}
