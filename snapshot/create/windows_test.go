package create_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

// TestNamesThatMoveWithinALargeDirectory renames a file of which the name is listed and not
// looked at yet, as mail programs do when a message is read. It is in the snapshot under
// neither name, and that must not go unsaid; a name that is only gone is nobody's loss.
func TestNamesThatMoveWithinALargeDirectory(t *testing.T) {
	for what, tc := range map[string]struct {
		change  func(dir string) error
		partial bool
	}{
		"renamed": {func(dir string) error {
			return os.Rename(filepath.Join(dir, "f1999"), filepath.Join(dir, "f1999:seen"))
		}, true},
		"deleted": {func(dir string) error { return os.Remove(filepath.Join(dir, "f1999")) }, false},
		"another made": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "f1999")), os.WriteFile(filepath.Join(dir, "f1999+"), nil, 0o600))
		}, false},
		"moved in": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "f1999")), os.Rename(dir+".other", filepath.Join(dir, "f1999+")))
		}, true},
		"made": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "f1999+"), nil, 0o600) }, false},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			for i := range 2000 {
				// The first keep the walk from getting to the last; those between are names.
				size := 0
				if i < 700 || i >= 1990 {
					size = 70 << 10
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%04d", i)), make([]byte, size), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(dir+".other", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			res, err := create.Snapshot(t.Context(), &hooked{snaptest.NewStore(), func() {
				once.Do(func() {
					if err := tc.change(dir); err != nil {
						t.Error(err)
					}
				})
			}}, snaptest.Fixed(dir))
			if err != nil || res.Partial() != tc.partial || tc.partial && !errors.Is(res.Problems[0].Cause, create.ErrRenamed) {
				t.Errorf("%d files, %v, %v", res.Files, res.Problems, err)
			}
		})
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
