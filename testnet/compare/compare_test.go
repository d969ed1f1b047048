package compare

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree makes a directory with one of each thing; two of them are the same.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Mkdir(at("sub"), 0o750))
	must(t, os.WriteFile(at("sub/file"), []byte(strings.Repeat("content ", 100_000)), 0o640))
	must(t, os.Link(at("sub/file"), at("link")))
	must(t, os.WriteFile(at("copy"), []byte("copy"), 0o600))
	must(t, os.WriteFile(at("holes"), []byte("holes"), 0o600))
	must(t, os.Truncate(at("holes"), 8<<20))
	must(t, os.Symlink("nowhere", at("symlink")))
	must(t, syscall.Mkfifo(at("fifo"), 0o600))
	must(t, unix.Setxattr(at("copy"), "user.a", []byte("1"), 0))
	stamp(t, dir)
	return dir
}

// stamp gives everything below dir the same times again.
func stamp(t *testing.T, dir string) {
	t.Helper()
	when := unix.NsecToTimespec(time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC).UnixNano())
	for _, name := range []string{"sub/file", "copy", "holes", "symlink", "fifo", "sub", "."} {
		err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, name), []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			t.Fatal(err)
		}
	}
}

func TestSameTrees(t *testing.T) {
	got, err := Trees(t.Context(), tree(t), tree(t))
	holes := got.Holes
	if holes < 7<<20 || holes > 8<<20 { // the rest is up to the file system
		t.Errorf("%d bytes in holes of a file of 8 MiB", holes)
	}
	want := Summary{Files: 4, Dirs: 2, Symlinks: 1, Others: 1, HardLinks: 1, Xattrs: 1, Sparse: 1, Bytes: 800_004 + 8<<20, Holes: holes}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestEveryDifferenceIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"missing":      {func(d string) error { return os.Remove(d + "/copy") }, `"copy": missing`},
		"new":          {func(d string) error { return os.Mkdir(d+"/sub/new", 0o700) }, `"sub/new": is new`},
		"mode":         {func(d string) error { return os.Chmod(d+"/copy", 0o601) }, `"copy": mode 100600 and 100601`},
		"mode of root": {func(d string) error { return os.Chmod(d, 0o701) }, `".": mode`},
		"set-uid":      {func(d string) error { return os.Chmod(d+"/copy", 0o600|os.ModeSetuid) }, `"copy": mode 100600 and 104600`},
		"type": {
			func(d string) error { return errors.Join(os.Remove(d+"/copy"), os.Symlink("x", d+"/copy")) },
			`"copy": mode 100600 and 120777`,
		},
		"target": {
			func(d string) error { return errors.Join(os.Remove(d+"/symlink"), os.Symlink("x", d+"/symlink")) },
			`"symlink": points to "nowhere" and "x"`,
		},
		"size":      {func(d string) error { return os.Truncate(d+"/copy", 3) }, `"copy": 4 bytes and 3 bytes`},
		"last byte": {func(d string) error { return poke(d+"/sub/file", 799_999) }, "bytes differ from offset 799999 on"},
		"holes": {
			func(d string) error {
				return os.WriteFile(d+"/holes", append([]byte("holes"), make([]byte, 8<<20-5)...), 0o600)
			},
			`"holes": takes `,
		},
		"hard link": {
			func(d string) error {
				b, err := os.ReadFile(d + "/link")
				return errors.Join(err, os.Remove(d+"/link"), os.WriteFile(d+"/link", b, 0o640))
			},
			`"sub/file": is one file with "link" and with "sub/file"`,
		},
		"xattr": {func(d string) error { return unix.Setxattr(d+"/copy", "user.a", []byte("2"), 0) }, `"copy": extended attributes map["user.a":"1"] and map["user.a":"2"]`},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := tree(t), tree(t)
			must(t, c.change(b))
			stamp(t, b)
			if _, err := Trees(t.Context(), a, b); !errors.Is(err, ErrDiffer) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func poke(path string, offset int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte{0}, offset)
	return errors.Join(err, f.Close())
}

func TestNanosecondsCount(t *testing.T) {
	a, b := tree(t), tree(t)
	when := time.Date(2001, 2, 3, 4, 5, 6, 8, time.UTC)
	must(t, os.Chtimes(b+"/copy", when, when))
	if _, err := Trees(t.Context(), a, b); err == nil || !strings.Contains(err.Error(), "981173106.000000007 and 981173106.000000008") {
		t.Errorf("%v", err)
	}
}

func TestDescriptionsAreBounded(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for i := range 3 * MaxDifferences {
		must(t, os.WriteFile(filepath.Join(a, string(rune('A'+i))), nil, 0o600))
	}
	_, err := Trees(t.Context(), a, b)
	if err == nil || strings.Count(err.Error(), "missing") != MaxDifferences-1 || !strings.Contains(err.Error(), "61 places") {
		t.Errorf("%v", err) // each file, and the directory's own time
	}
}
