package create_test

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

// understated is a file that has more than its size says, as programs that make up what
// they serve may have.
type understated struct {
	fs.Inode

	data []byte
	size uint64
}

func (f *understated) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size, out.Nlink = syscall.S_IFREG|0o444, f.size, 1
	return 0
}

func (f *understated) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (f *understated) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	from := min(off, int64(len(f.data)))
	return fuse.ReadResultData(f.data[from:min(from+int64(len(dest)), int64(len(f.data)))]), 0
}

// TestFilesWithMoreThanTheirSize reads files to their end, wherever their size says that is.
func TestFilesWithMoreThanTheirSize(t *testing.T) {
	files := map[string]*understated{
		"empty": {data: snaptest.Noise(100)}, "small": {data: snaptest.Noise(5000), size: 100}, "grows": {data: snaptest.Noise(1 << 20), size: 60_000},
		"large": {data: snaptest.Noise(6 << 20), size: 3 << 20}, "honest": {data: snaptest.Noise(70_000), size: 70_000},
	}
	root := new(fs.Inode)
	dir := t.TempDir()
	server, err := fs.Mount(dir, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true},
		OnAdd: func(ctx context.Context) {
			for name, f := range files {
				root.AddChild(name, root.NewPersistentInode(ctx, f, fs.StableAttr{Mode: syscall.S_IFREG}), false)
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
	if res.Partial() || res.Files != int64(len(files)) {
		t.Errorf("%+v", res)
	}
	for name, f := range files {
		if got, has := content(t, store, res, name); !has || got != string(f.data) {
			t.Errorf("%s: %d bytes of %d", name, len(got), len(f.data))
		}
	}
}

// TestLinkWithoutTarget has a symbolic link with an empty target, which no manifest holds:
// it is a problem of its own, and the rest can be read back.
func TestLinkWithoutTarget(t *testing.T) {
	root := new(fs.Inode)
	dir := t.TempDir()
	server, err := fs.Mount(dir, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true},
		OnAdd: func(ctx context.Context) {
			for _, target := range []string{"", "there"} {
				link := &fs.MemSymlink{Data: []byte(target)}
				root.AddChild("to "+target, root.NewPersistentInode(ctx, link, fs.StableAttr{Mode: syscall.S_IFLNK}), false)
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
	opts := snaptest.Fixed(dir)
	opts.Tags = []string{}
	_, res := verified(t, opts)
	if len(res.Problems) != 1 || !errors.Is(res.Problems[0], create.ErrNoTarget) || res.Problems[0].Path != "to " || res.Others != 1 {
		t.Errorf("%+v", res)
	}
}
