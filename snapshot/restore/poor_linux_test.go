package restore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// poor is a file system such as a stick or a share has: no links, fifos and attributes, no
// owners, times in two seconds, no colons in names, one name for upper and lower case, and
// no flags for rename.
type poor struct{ *fs.LoopbackNode }

// WrapChild implements fs.NodeWrapChilder: what is in a poor directory is poor.
func (n *poor) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	loopback, ok := child.(*fs.LoopbackNode)
	if !ok {
		return child
	}
	return &poor{loopback}
}

// alike returns a name that is there and differs in case only, or the name itself.
func (n *poor) alike(name string) string {
	entries, err := os.ReadDir(filepath.Join(n.RootData.Path, n.Path(nil)))
	if err != nil {
		return name
	}
	found := name
	for _, e := range entries {
		switch {
		case e.Name() == name:
			return name
		case strings.EqualFold(e.Name(), name):
			found = e.Name()
		}
	}
	return found
}

// holds reports why a name cannot be made.
func (n *poor) holds(name string) syscall.Errno {
	switch {
	case strings.Contains(name, ":"):
		return unix.EINVAL
	case n.alike(name) != name:
		return unix.EEXIST
	}
	return 0
}

func (n *poor) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.LoopbackNode.Lookup(ctx, n.alike(name), out)
}

func (n *poor) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.holds(name); errno != 0 {
		return nil, nil, 0, errno
	}
	return n.LoopbackNode.Create(ctx, name, flags, mode, out)
}

func (n *poor) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.holds(name); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *poor) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if flags != 0 || strings.Contains(newName, ":") {
		return unix.EINVAL
	}
	return n.LoopbackNode.Rename(ctx, name, to, newName, 0)
}

func (n *poor) Symlink(context.Context, string, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, unix.EPERM
}

func (n *poor) Link(context.Context, fs.InodeEmbedder, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, unix.EPERM
}

func (n *poor) Mknod(context.Context, string, uint32, uint32, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, unix.EPERM
}

func (n *poor) Setxattr(context.Context, string, []byte, uint32) syscall.Errno { return unix.ENOTSUP }

func (n *poor) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if _, set := in.GetUID(); set {
		return unix.EPERM
	}
	if _, set := in.GetMTime(); set {
		in.Mtime, in.Mtimensec = in.Mtime&^1, 0
	}
	return n.LoopbackNode.Setattr(ctx, f, in, out)
}

// mountPoor returns a directory on a poor file system.
func mountPoor(t *testing.T) string {
	t.Helper()
	root := &fs.LoopbackRoot{Path: t.TempDir()}
	node := &poor{&fs.LoopbackNode{RootData: root}}
	root.RootNode = node
	dir := t.TempDir()
	second := time.Second
	server, err := fs.Mount(dir, node, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true}, AttrTimeout: &second, EntryTimeout: nil,
	})
	if err != nil {
		t.Skip("no FUSE here: ", err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestRestoreToPoorFileSystem writes everything that there is to where little of it can be:
// what cannot be is told, one by one, and the rest is there. The same once more goes on.
func TestRestoreToPoorFileSystem(t *testing.T) {
	src := t.TempDir()
	large := snaptest.Noise(5 << 20)
	must := snaptest.Musts(t)
	write := func(name string, data []byte) error { return os.WriteFile(filepath.Join(src, name), data, 0o644) }
	must(os.Mkdir(filepath.Join(src, "dir"), 0o755), os.Mkdir(filepath.Join(src, "DIR"), 0o755), os.Mkdir(filepath.Join(src, "a:b"), 0o755),
		write("file", []byte("small")), write("large", large), write("a:c", []byte("colon")), write("a:large", large), write("a:b/in", []byte("x")),
		write("case", []byte("lower")), write("CASE", []byte("UPPER")), write("dir/in", []byte("in")), write("DIR/other", []byte("other")),
		os.Symlink("file", filepath.Join(src, "symlink")), unix.Mkfifo(filepath.Join(src, "fifo"), 0o600),
		os.Link(filepath.Join(src, "large"), filepath.Join(src, "zlink")), os.Link(filepath.Join(src, "a:c"), filepath.Join(src, "zcolon")),
		unix.Setxattr(filepath.Join(src, "file"), "user.x", []byte("x"), 0))
	odd := time.Unix(1_700_000_001, 123456789)
	for _, name := range []string{"file", "large", "case", "CASE", "dir/in"} {
		must(os.Chtimes(filepath.Join(src, name), odd, odd))
	}
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	dst := filepath.Join(mountPoor(t), "target")
	want := []string{
		"make directory a:b", "write a:c", "write a:large", "make directory dir", "write case", "make fifo fifo", "make symlink symlink",
		"link zlink", `set the attribute "user.x" of file`,
	}
	for i := range 2 {
		got, err := restore.Snapshot(t.Context(), store, res.ID, dst, restore.Options{})
		if err != nil {
			t.Fatalf("restore %d: %v", i, err)
		}
		told := map[string]bool{}
		for _, p := range got.Problems {
			told[p.Op+" "+p.Path] = true
		}
		for _, w := range want {
			// Of two names that differ in case, either may have come first.
			if other := strings.ToUpper(w[strings.LastIndexByte(w, ' ')+1:]); !told[w] && !told[w[:strings.LastIndexByte(w, ' ')+1]+other] {
				t.Errorf("restore %d does not tell of %q: %v", i, w, got.Problems)
			}
		}
		if i == 1 && (got.Files > 0 || got.Present != 6) {
			t.Errorf("written again: %+v", got)
		}
		for name, data := range map[string]string{"file": "small", "large": string(large), "zlink": string(large), "zcolon": "colon"} {
			if have, err := os.ReadFile(filepath.Join(dst, name)); err != nil || string(have) != data {
				t.Errorf("restore %d: %s: %d bytes, %v", i, name, len(have), err)
			}
		}
		names, err := os.ReadDir(dst)
		must(err)
		for _, n := range names {
			if strings.HasPrefix(n.Name(), ".decube-restore") {
				t.Errorf("left %s", n.Name())
			}
		}
		if len(got.Problems) != len(want) {
			t.Errorf("restore %d: problems %v", i, got.Problems)
		}
		if len(names) != 6 {
			t.Errorf("there are %v", names)
		}
	}
}

// TestRestoreOfManyNames has more names of a file than its file system holds.
func TestRestoreOfManyNames(t *testing.T) {
	src := t.TempDir()
	const count = 300
	must := snaptest.Musts(t)
	must(os.WriteFile(filepath.Join(src, "000"), snaptest.Noise(100_000), 0o600))
	for i := 1; i < count; i++ {
		must(os.Link(filepath.Join(src, "000"), filepath.Join(src, fmt.Sprintf("%03d", i))))
	}
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	dst := filepath.Join(mountPoor(t), "target")
	got, err := restore.Snapshot(t.Context(), store, res.ID, dst, restore.Options{})
	must(err)
	copies := 0
	for _, p := range got.Problems {
		if p.Op == "link" && strings.HasSuffix(p.Err, "; it is a file of its own") {
			copies++
		}
	}
	if got.Files != count || copies != count-1 {
		t.Errorf("%d files, %d copies told of", got.Files, copies)
	}
	for i := range count {
		if have, err := os.ReadFile(filepath.Join(dst, fmt.Sprintf("%03d", i))); err != nil || len(have) != 100_000 {
			t.Fatalf("%d: %d bytes, %v", i, len(have), err)
		}
	}
}
