package fsys_test

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/fsys"
)

// shrinking is a file that becomes shorter between the search for data and that for its end.
type shrinking struct{ fs.MemRegularFile }

func (*shrinking) Lseek(_ context.Context, _ fs.FileHandle, off uint64, whence uint32) (uint64, syscall.Errno) {
	if whence == unix.SEEK_DATA {
		return off + 4096, 0
	}
	return 0, syscall.ENXIO
}

func TestDataOfAFileThatShrinks(t *testing.T) {
	root, path := new(fs.Inode), t.TempDir()
	server, err := fs.Mount(path, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true},
		OnAdd: func(ctx context.Context) {
			file := &shrinking{fs.MemRegularFile{Data: make([]byte, 16384), Attr: fuse.Attr{Mode: 0o644, Nlink: 1}}}
			root.AddChild("file", root.NewPersistentInode(ctx, file, fs.StableAttr{Mode: syscall.S_IFREG}), false)
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
	fd, err := unix.Open(filepath.Join(path, "file"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.CloseRead(fd)
	if start, end, err := fsys.Data(fd, 0, 16384); err != nil || start != 4096 || end != 16384 {
		t.Errorf("data from %d to %d, %v", start, end, err)
	}
}
