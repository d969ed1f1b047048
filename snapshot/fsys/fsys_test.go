package fsys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOpenDir opens below a root, by one call and by steps, and follows no link.
func TestOpenDir(t *testing.T) {
	top := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(top, "a/b"), 0o755), os.Symlink("a", filepath.Join(top, "link")),
		os.Symlink("/", filepath.Join(top, "a/root")), os.WriteFile(filepath.Join(top, "file"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	root, err := OpenRoot(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for how, open := range map[string]func(string) (*Dir, error){"call": root.OpenDir, "steps": root.openSteps} {
		for path, good := range map[string]bool{
			"a": true, "a/b": true, "link": false, "link/b": false, "a/root": false, "a/root/etc": false, "file": false, "none": false,
		} {
			dir, err := open(path)
			if (err == nil) != good {
				t.Errorf("%s: %s: %v", how, path, err)
			}
			if err == nil {
				dir.Close()
			}
		}
	}
	if dir, err := root.OpenDir("../" + filepath.Base(top)); err == nil {
		dir.Close()
		t.Error("opened something above the root")
	}
}

// TestLongPath reaches a directory whose path is too long for one call.
func TestLongPath(t *testing.T) {
	root, err := OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	name := strings.Repeat("n", 250)
	var path []string
	for range 20 {
		dir, err := root.OpenDir(strings.Join(path, "/"))
		if err != nil {
			t.Fatal(err)
		}
		err = dir.Mkdir(name, 0o755)
		dir.Close()
		if err != nil {
			t.Fatal(err)
		}
		path = append(path, name)
	}
}

// TestData finds the data of a file with holes, and no names but those there are.
func TestData(t *testing.T) {
	top := t.TempDir()
	f, err := os.Create(filepath.Join(top, "f"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("x"), 1<<20)
	if err := errors.Join(err, f.Truncate(4<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	root, err := OpenRoot(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if names, err := root.Names(); err != nil || len(names) != 1 || names[0] != "f" {
		t.Errorf("%q, %v", names, err)
	}
	fd, err := root.OpenFile("f")
	if err != nil {
		t.Fatal(err)
	}
	defer CloseRead(fd)
	start, end, err := Data(fd, 0, 4<<20)
	if err != nil || start > 1<<20 || end <= 1<<20 || end > 4<<20 {
		t.Errorf("data from %d to %d, %v", start, end, err)
	}
	if start, _, err := Data(fd, end, 4<<20); err != nil || start != 4<<20 && start != end {
		t.Errorf("after the data: %d, %v", start, err)
	}
	if err := root.Rename("f", "f", false); !errors.Is(err, unix.EEXIST) {
		t.Errorf("renamed over itself: %v", err)
	}
}

// TestOwnClock knows a file system of this machine, and one of none.
func TestOwnClock(t *testing.T) {
	for path, want := range map[string]bool{"/dev/shm": true, "/proc": false} {
		dir, err := OpenRoot(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := dir.OwnClock(); got != want {
			t.Errorf("%s: %v", path, got)
		}
		dir.Close()
	}
}

// TestChmodFollowsNothing changes the mode of a fifo, and not of what somebody has put in its
// place.
func TestChmodFollowsNothing(t *testing.T) {
	top := t.TempDir()
	outside, fifo, link := filepath.Join(top, "outside"), filepath.Join(top, "fifo"), filepath.Join(top, "link")
	if err := errors.Join(os.WriteFile(outside, nil, 0o600), unix.Mkfifo(fifo, 0o600), os.Symlink(outside, link)); err != nil {
		t.Fatal(err)
	}
	dir, err := OpenRoot(top)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for name, chmod := range map[string]func(string, uint32) error{"fchmodat2": dir.Chmodat, "proc": dir.chmodProc} {
		mode := os.FileMode(0o640 + len(name))
		if err := chmod("fifo", uint32(mode)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Lstat(fifo); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: the fifo has %v, %v", name, info.Mode(), err)
		}
		if err := chmod("link", 0o666); err == nil {
			t.Errorf("%s: the mode of a link was changed", name)
		}
		if info, err := os.Stat(outside); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: what a link leads to has %v, %v", name, info.Mode(), err)
		}
	}
}
