package fsys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOpenDirStaysBelow opens nothing above the root, by one call and by steps, however
// long the path is.
func TestOpenDirStaysBelow(t *testing.T) {
	top := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(top, "root/a/b"), 0o755), os.Mkdir(filepath.Join(top, "outside"), 0o755))
	root := open(t, filepath.Join(top, "root"))
	long := strings.Repeat("a/../", unix.PathMax/5+1)
	for _, path := range []string{"..", "../outside", "a/../../outside", "a/b/../../..", "/", "/etc", long + "../outside", long + ".."} {
		for how, open := range map[string]func(string) (*Dir, error){"call": root.OpenDir, "steps": root.openSteps} {
			if dir, err := open(path); err == nil {
				dir.Close()
				t.Errorf("%s: opened %.30q", how, path)
			}
		}
	}
	again, err := root.OpenDir("")
	must(t, err)
	defer again.Close()
	a, err := again.Stat()
	b, berr := root.Stat()
	if err := errors.Join(err, berr); err != nil || !a.Same(&b) || again.Fd() == root.Fd() {
		t.Errorf("the empty path: %+v, %+v, %v", a, b, err)
	}
}

// TestOpenDirRace has somebody put a link in the place of a directory and back, all the
// time: what is opened is the directory, or nothing.
func TestOpenDirRace(t *testing.T) {
	top := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(top, "root/a/inner"), 0o755), os.MkdirAll(filepath.Join(top, "outside/inner"), 0o755),
		os.Symlink("../outside", filepath.Join(top, "root/b")))
	root := open(t, filepath.Join(top, "root"))
	inner, err := root.OpenDir("a/inner")
	must(t, err)
	defer inner.Close()
	want, err := inner.Stat()
	must(t, err)
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := unix.Renameat2(root.fd, "a", root.fd, "b", unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	defer all.Wait()
	defer close(stop)
	opened, refused := 0, 0
	for i := 0; i < 1_000_000 && (opened < 300 || refused < 300); i++ {
		call := root.OpenDir
		if i%2 == 0 {
			call = root.openSteps
		}
		dir, err := call("a/inner")
		if err != nil {
			if !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENOTDIR) {
				t.Fatal(err)
			}
			refused++
			continue
		}
		opened++
		got, err := dir.Stat()
		dir.Close()
		if err != nil || got.Ino != want.Ino {
			t.Fatalf("opened inode %d, want %d: %v", got.Ino, want.Ino, err)
		}
	}
	if opened == 0 || refused == 0 {
		t.Errorf("opened %d times, refused %d times: nothing was tried", opened, refused)
	}
}

// TestOpenFile opens what can be read and waits for nothing, and follows no link.
func TestOpenFile(t *testing.T) {
	top := t.TempDir()
	must(t, os.WriteFile(filepath.Join(top, "file"), []byte("x"), 0o600), unix.Mkfifo(filepath.Join(top, "fifo"), 0o600),
		os.Symlink("file", filepath.Join(top, "link")))
	dir := open(t, top)
	for name, want := range map[string]error{"file": nil, "fifo": nil, "link": unix.ELOOP, "none": unix.ENOENT, "file/x": unix.ENOTDIR} {
		fd, err := dir.OpenFile(name)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			CloseRead(fd)
		}
	}
}

// TestOpenFileOfOthers opens a file whose access time only its owner may leave alone.
func TestOpenFileOfOthers(t *testing.T) {
	top, name := "/etc", "passwd"
	if os.Geteuid() == 0 {
		top, name = t.TempDir(), "file"
		must(t, os.Chmod(top, 0o755), os.WriteFile(filepath.Join(top, name), []byte("x"), 0o644))
	}
	dir := open(t, top)
	err := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its rights
		if os.Geteuid() == 0 {
			if e := unix.Setfsuid(65534); e != nil {
				err <- e
				return
			}
		}
		if fd, e := unix.Openat(dir.fd, name, unix.O_RDONLY|unix.O_NOATIME|unix.O_CLOEXEC, 0); !errors.Is(e, unix.EPERM) {
			CloseRead(fd)
			err <- fmt.Errorf("without the fallback: %w", e)
			return
		}
		fd, e := dir.OpenFile(name)
		CloseRead(fd)
		err <- e
	}()
	if err := <-err; err != nil {
		t.Error(err)
	}
}

// TestReadlink returns targets of all lengths and bytes.
func TestReadlink(t *testing.T) {
	dir := open(t, t.TempDir())
	for _, n := range []int{1, 254, 255, 256, 257, 1023, 1024, 1025, 4094, 4095} {
		target := strings.Repeat("\xff\n", n)[:n]
		name := fmt.Sprint(n)
		err := dir.Symlink(target, name)
		if n == 4095 && errors.Is(err, unix.ENAMETOOLONG) {
			continue // longer than a block of this file system
		}
		must(t, err)
		if got, err := dir.Readlink(name); err != nil || string(got) != target {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
	if _, err := dir.Readlink("."); !errors.Is(err, unix.EINVAL) {
		t.Errorf("of a directory: %v", err)
	}
}
