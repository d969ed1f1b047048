package fsys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// mount returns a directory with a file system of its own, or skips the test.
func mount(t *testing.T, kind, options string) *Dir {
	t.Helper()
	path := t.TempDir()
	if err := unix.Mount(kind, path, kind, 0, options); err != nil {
		t.Skipf("cannot mount %s here: %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	return open(t, path)
}

// create makes a file with content, and returns it open for reading.
func create(t *testing.T, dir *Dir, name, content string) int {
	t.Helper()
	fd, err := dir.CreateFile(name, 0o600)
	must(t, err)
	must(t, WriteAt(fd, []byte(content), 0), Close(fd))
	fd, err = dir.OpenFile(name)
	must(t, err)
	t.Cleanup(func() { CloseRead(fd) })
	return fd
}

func content(t *testing.T, dir *Dir, name string) string {
	t.Helper()
	fd, err := dir.OpenFile(name)
	must(t, err)
	defer CloseRead(fd)
	data, err := io.ReadAll(&Reader{Fd: fd})
	must(t, err)
	return string(data)
}

// TestReadAt reads to the end of a file and says how much that was.
func TestReadAt(t *testing.T) {
	fd := create(t, open(t, t.TempDir()), "f", "0123456789")
	for _, tc := range []struct {
		off  int64
		n    int
		want string
	}{{0, 10, "0123456789"}, {0, 11, "0123456789"}, {8, 4, "89"}, {9, 1, "9"}, {10, 1, ""}, {1 << 40, 5, ""}, {3, 0, ""}} {
		p := make([]byte, tc.n)
		if n, err := ReadAt(fd, p, tc.off); err != nil || string(p[:n]) != tc.want {
			t.Errorf("%d bytes at %d: %q, %v", tc.n, tc.off, p[:n], err)
		}
	}
	if _, err := ReadAt(fd, make([]byte, 1), -1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("before the file: %v", err)
	}
	r := &Reader{Fd: fd, Off: 3, Most: 2}
	var p [5]byte
	if n, err := r.Read(p[:]); n != 2 || err != nil || r.Off != 5 {
		t.Errorf("%d bytes of at most 2, now at %d: %v", n, r.Off, err)
	}
	if rest, err := io.ReadAll(r); string(rest) != "56789" || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing was asked for: %d, %v", n, err)
	}
}

// TestDataOfAnyFile puts a file together again from its runs of data: what Data leaves out
// is zeros, and nothing lies outside of what was asked for.
func TestDataOfAnyFile(t *testing.T) {
	dir := open(t, t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		fd, err := unix.Openat(dir.fd, "f", unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o600)
		if err != nil {
			rt.Fatal(err)
		}
		defer CloseRead(fd)
		const block = 4096
		size := rapid.Int64Range(0, 40*block).Draw(rt, "size")
		err = Truncate(fd, size)
		for range rapid.IntRange(0, 5).Draw(rt, "runs") {
			p := bytes.Repeat([]byte{'x'}, rapid.IntRange(1, 3*block).Draw(rt, "length"))
			err = errors.Join(err, WriteAt(fd, p, rapid.Int64Range(0, 40*block).Draw(rt, "at")))
		}
		if err := errors.Join(err, Truncate(fd, size)); err != nil { // what was written may be longer
			rt.Fatal(err)
		}
		want := make([]byte, size)
		if n, err := ReadAt(fd, want, 0); err != nil || int64(n) != size {
			rt.Fatal(n, err)
		}
		off := rapid.Int64Range(0, size).Draw(rt, "from")
		seen := rapid.Int64Range(off, size+block).Draw(rt, "to") // the size that a stat gave, by now another
		got := append(want[:off:off], make([]byte, seen-off)...)
		for at := off; at < seen; {
			start, end, err := Data(fd, at, seen)
			if err != nil || start < at || end < start || end > seen || end == start && start < seen {
				rt.Fatalf("from %d: data from %d to %d of %d, %v", at, start, end, seen, err)
			}
			if _, err := ReadAt(fd, got[start:end], start); err != nil {
				rt.Fatal(err)
			}
			at = end
		}
		if whole := append(want, make([]byte, block)...)[:seen]; !bytes.Equal(got, whole) {
			rt.Fatal("the data is another")
		}
	})
}

// TestTaken replaces nothing that has a name, whatever it is.
func TestTaken(t *testing.T) {
	dir := open(t, t.TempDir())
	create(t, dir, "from", "new")
	create(t, dir, "file", "old")
	must(t, dir.Symlink("nowhere", "dangling"), dir.Symlink("file", "link"), dir.Mkdir("dir", 0o700), dir.Mknod("fifo", unix.S_IFIFO|0o600, 0, 0))
	for _, name := range []string{"file", "dangling", "link", "dir", "fifo"} {
		before, err := dir.Lstat(name)
		must(t, err)
		for how, err := range map[string]error{
			"rename": dir.Rename("from", name, false), "link": dir.Link("from", dir, name), "symlink": dir.Symlink("x", name),
			"mkdir": dir.Mkdir(name, 0o700), "mknod": dir.Mknod(name, unix.S_IFIFO, 0, 0),
			"create": second(dir.CreateFile(name, 0o600)), "direct": direct(dir, name),
		} {
			if !errors.Is(err, unix.EEXIST) {
				t.Errorf("%s to %s: %v", how, name, err)
			}
		}
		if after, err := dir.Lstat(name); err != nil || !after.Same(&before) {
			t.Errorf("%s is another: %v", name, err)
		}
	}
	if got := content(t, dir, "file"); got != "old" {
		t.Errorf("file holds %q", got)
	}
	must(t, dir.Rename("from", "file", true))
	if got := content(t, dir, "file"); got != "new" {
		t.Errorf("replaced, file holds %q", got)
	}
	if err := dir.Rename("from", "to", false); !errors.Is(err, unix.ENOENT) {
		t.Errorf("renamed nothing: %v", err)
	}
	must(t, dir.Link("link", dir, "second"))
	if target, err := dir.Readlink("second"); err != nil || string(target) != "file" {
		t.Errorf("a link to a link leads to %q, %v", target, err)
	}
}

func second(fd int, err error) error {
	if err == nil {
		return Close(fd)
	}
	return err
}

func direct(dir *Dir, name string) error {
	fd, _, err := dir.CreateDirect(name, 0o600)
	return second(fd, err)
}

// TestCreateDirect writes past the page cache where it can, and in the plain way elsewhere:
// ramfs refuses, after it has made the name. What had the name before is left alone.
func TestCreateDirect(t *testing.T) {
	for kind, dir := range map[string]func(*testing.T) *Dir{
		"here":  func(t *testing.T) *Dir { t.Helper(); return open(t, t.TempDir()) },
		"ramfs": func(t *testing.T) *Dir { t.Helper(); return mount(t, "ramfs", "") },
		"tmpfs": func(t *testing.T) *Dir { t.Helper(); return mount(t, "tmpfs", "size=1m") },
	} {
		t.Run(kind, func(t *testing.T) {
			dir := dir(t)
			fd, isDirect, err := dir.CreateDirect("f", 0o640)
			must(t, err)
			if kind == "ramfs" {
				if isDirect {
					t.Error("ramfs writes past the page cache")
				}
				must(t, WriteAt(fd, []byte("plain"), 1))
				if err := Preallocate(fd, 1<<20); err != nil {
					t.Errorf("a file system that cannot preallocate: %v", err)
				}
			}
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			if must(t, err); (flags&unix.O_DIRECT != 0) != isDirect {
				t.Errorf("direct is %v, the flags are %#x", isDirect, flags)
			}
			must(t, Close(fd))
			if fd, isDirect, err := dir.CreateDirect("f", 0o640); !errors.Is(err, unix.EEXIST) || isDirect || fd >= 0 {
				t.Errorf("once more: %d, %v, %v", fd, isDirect, err)
			}
			if got := content(t, dir, "f"); kind == "ramfs" && got != "\x00plain" {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestPreallocate reserves space, and says when there is not enough.
func TestPreallocate(t *testing.T) {
	dir := mount(t, "tmpfs", "size=1m")
	fd, err := dir.CreateFile("f", 0o600)
	must(t, err)
	defer CloseRead(fd)
	must(t, Preallocate(fd, 512<<10))
	if st, err := Fstat(fd); err != nil || st.Size != 512<<10 || st.Blocks*512 < 512<<10 {
		t.Errorf("%+v, %v", st, err)
	}
	if err := Preallocate(fd, 2<<20); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("more than there is: %v", err)
	}
}

// TestKeptTime tells which time a file would keep, also one that its file system cannot
// hold, and leaves nothing behind: not even the name that it was lent.
func TestKeptTime(t *testing.T) {
	dir := open(t, t.TempDir())
	must(t, dir.Symlink("nowhere", "link"))
	create(t, dir, "file", "")
	rapid.Check(t, func(rt *rapid.T) {
		sec := rapid.OneOf(rapid.Int64Range(-1<<36, 1<<36), rapid.SampledFrom([]int64{
			0, -1, math.MaxInt32, math.MaxInt32 + 1, math.MinInt32, math.MinInt32 - 1, 1<<34 - 1, 1 << 34, 1<<34 + 1<<33, -1 << 40, 1 << 40, math.MaxInt64, math.MinInt64,
		})).Draw(rt, "sec")
		nsec := rapid.Int64Range(0, 999_999_999).Draw(rt, "nsec")
		kept, err := dir.KeptTime("lent", sec, nsec)
		if err != nil {
			rt.Fatal(err)
		}
		for _, name := range []string{"file", "link", "."} {
			if err := dir.SetTime(name, sec, nsec); err != nil {
				rt.Fatalf("%s: %v", name, err)
			}
			if st, err := dir.Lstat(name); err != nil || st.MSec != kept.MSec || st.MNsec != kept.MNsec {
				rt.Fatalf("%s: %d.%d, %v; told %d.%d", name, st.MSec, st.MNsec, err, kept.MSec, kept.MNsec)
			}
		}
		if names, err := dir.Names(); err != nil || len(names) != 2 {
			rt.Fatalf("left %q, %v", names, err)
		}
	})
	if err := dir.SetTime("file", 0, 1_000_000_000); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a second of nanoseconds: %v", err)
	}
	if err := dir.SetTime("none", 0, 0); !errors.Is(err, unix.ENOENT) {
		t.Errorf("of nothing: %v", err)
	}
}

// TestSetTimeLeavesAccess changes no access time.
func TestSetTimeLeavesAccess(t *testing.T) {
	top := t.TempDir()
	create(t, open(t, top), "file", "")
	path := filepath.Join(top, "file")
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Sec: 5}, {Sec: 6}}, 0), open(t, top).SetTime("file", 7, 8))
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Atim.Sec != 5 || st.Mtim.Sec != 7 || st.Mtim.Nsec != 8 {
		t.Errorf("accessed %v, changed %v, %v", st.Atim, st.Mtim, err)
	}
}

// TestTryLock gives a directory to one at a time, until that closes it.
func TestTryLock(t *testing.T) {
	top := t.TempDir()
	first, other := open(t, top), open(t, top)
	inner, err := first.OpenDir("")
	must(t, err)
	must(t, inner.TryLock(), inner.TryLock())
	for _, dir := range []*Dir{first, other} {
		if err := dir.TryLock(); !errors.Is(err, unix.EWOULDBLOCK) {
			t.Errorf("while another has it: %v", err)
		}
	}
	inner.Close()
	must(t, other.TryLock())
}

// TestStatSame tells apart states of files by each thing that it compares.
func TestStatSame(t *testing.T) {
	base := Stat{Dev: 1, Ino: 2, Mode: unix.S_IFREG | 0o644, Size: 3, MSec: 4, MNsec: 5, CSec: 6, CNsec: 7}
	if o := base; !base.Same(&o) {
		t.Error("differs from itself")
	}
	for i, change := range []func(*Stat){
		func(s *Stat) { s.Dev++ }, func(s *Stat) { s.Ino++ }, func(s *Stat) { s.Mode ^= 1 }, func(s *Stat) { s.Size++ },
		func(s *Stat) { s.MSec++ }, func(s *Stat) { s.MNsec++ }, func(s *Stat) { s.CSec++ }, func(s *Stat) { s.CNsec++ },
	} {
		o := base
		if change(&o); base.Same(&o) {
			t.Errorf("change %d goes unseen", i)
		}
	}
	for _, tc := range []struct {
		a, b Generation
		want bool
	}{{Generation{}, Generation{}, true}, {Generation{1, true}, Generation{}, true}, {Generation{1, true}, Generation{1, true}, true}, {Generation{1, true}, Generation{2, true}, false}, {Generation{1, false}, Generation{2, true}, true}} {
		if got := tc.a.Is(tc.b); got != tc.want || tc.b.Is(tc.a) != got {
			t.Errorf("%v and %v: %v", tc.a, tc.b, got)
		}
	}
}

// TestXattrs reads what was set, in order of name, with values of all sizes that there are.
func TestXattrs(t *testing.T) {
	dir := mount(t, "tmpfs", "size=8m")
	fd := create(t, dir, "file", "")
	must(t, dir.Mknod("fifo", unix.S_IFIFO|0o600, 0, 0))
	if err := SetXattr(fd, "user.probe", nil); err != nil {
		t.Skip("this tmpfs has no attributes: ", err)
	}
	var want []string
	for i, n := range []int{0, 1, 1023, 1024, 1025, 65536} {
		value := bytes.Repeat([]byte{byte(i)}, n)
		name := fmt.Sprintf("user.%d-%d", 9-i, n)
		want = append([]string{fmt.Sprintf("%s %x", name, value)}, want...)
		must(t, SetXattr(fd, name, value))
		must(t, dir.SetXattr("file", name, value)) // the other way to do the same
	}
	want = append(want, "user.probe ")
	byName, err := dir.Xattrs("file")
	must(t, err)
	byFile, err := Xattrs(fd)
	must(t, err)
	for how, list := range map[string][]Xattr{"name": byName, "file": byFile} {
		if len(list) != len(want) {
			t.Errorf("by %s: %d of %d", how, len(list), len(want))
			continue
		}
		for i, x := range list {
			if got := fmt.Sprintf("%s %x", x.Name, x.Value); got != want[i] {
				t.Errorf("by %s: %.40s, want %.40s", how, got, want[i])
			}
		}
	}
	if list, err := dir.Xattrs("fifo"); err != nil || len(list) != 0 {
		t.Errorf("of a fifo: %v, %v", list, err)
	}
	if _, err := dir.Xattrs("none"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("of nothing: %v", err)
	}
	if err := dir.SetXattr("fifo", "user.x", nil); !errors.Is(err, unix.EPERM) || errors.Is(err, ErrNoProc) {
		t.Errorf("to a fifo: %v", err)
	}
}

// TestXattrsOfLinks reads and sets those of a symbolic link, not of the file that it leads
// to, through both the calls for it and /proc.
func TestXattrsOfLinks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may set attributes of links")
	}
	dir := open(t, t.TempDir())
	fd := create(t, dir, "file", "")
	must(t, dir.Symlink("file", "link"))
	const name = "trusted.x"
	if err := dir.SetXattr("link", name, []byte("of the link")); err != nil {
		t.Skip("no such attributes here: ", err)
	}
	must(t, SetXattr(fd, name, []byte("of the file")))
	if list, err := dir.Xattrs("link"); err != nil || len(list) != 1 || string(list[0].Value) != "of the link" {
		t.Errorf("%v, %v", list, err)
	}
	var buf [64]byte
	const noCall = 1 << 20
	for _, errno := range []unix.Errno{unix.ENOSYS, unix.EPERM} { // as an old kernel and a sandbox answer
		n, err := dir.orProc(noCall, 0, errno, "link", func(path string) (int, error) { return unix.Lgetxattr(path, name, buf[:]) })
		if err != nil || string(buf[:n]) != "of the link" {
			t.Errorf("through /proc after %v: %q, %v", errno, buf[:n], err)
		}
	}
	if _, err := dir.orProc(noCall, 0, unix.ENODATA, "link", func(string) (int, error) { t.Error("asked again"); return 0, nil }); !errors.Is(err, unix.ENODATA) {
		t.Error(err)
	}
	if _, err := dir.orProc(noCall, 0, unix.ENOSYS, "none", func(path string) (int, error) { return unix.Lgetxattr(path, name, buf[:]) }); !errors.Is(err, unix.ENOENT) || errors.Is(err, ErrNoProc) {
		t.Errorf("of nothing: %v", err)
	}
}

// TestXattrsThatGo reads those that are left when others are removed in between, and gives
// those that it can read with an error for the others.
func TestXattrsThatGo(t *testing.T) {
	list := func(buf []byte) (int, error) { return copy(buf, "c\x00b\x00a\x00gone\x00"), nil }
	for name, failing := range map[string]error{"none": nil, "b": unix.EIO} {
		got, err := xattrs(list, func(attr string, buf []byte) (int, error) {
			switch attr {
			case "gone":
				return 0, unix.ENODATA
			case name:
				return 0, failing
			}
			return copy(buf, "of "+attr), nil
		})
		var names []byte
		for _, x := range got {
			names = append(names, x.Name...)
			if string(x.Value) != "of "+string(x.Name) {
				t.Errorf("%s has %q", x.Name, x.Value)
			}
		}
		if want := map[string]string{"none": "abc", "b": "ac"}[name]; string(names) != want || !errors.Is(err, failing) {
			t.Errorf("%s: %q, %v", name, names, err)
		}
	}
}
