package create_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
	"github.com/decube/decube/snapshot/snaptest"
)

// verified takes a snapshot and reads it back.
func verified(t *testing.T, opts create.Options) (*snaptest.Store, create.Result) {
	t.Helper()
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, opts)
	if v, err := snapshot.Verify(t.Context(), store, res.ID, snapshot.VerifyOptions{ReadData: true}); err != nil || len(v.Problems) > 0 {
		t.Fatalf("it does not verify: %v %v", err, v.Problems)
	}
	return store, res
}

// TestFilesOfAnySize takes files that the kernel makes up as they are read: those of procfs
// say that they are empty, those of sysfs that they have 4096 bytes.
func TestFilesOfAnySize(t *testing.T) {
	for _, tc := range []struct {
		dir, file string
		short     bool
	}{{"/proc/sys/kernel/random", "boot_id", false}, {"/sys/kernel/mm/transparent_hugepage", "enabled", true}} {
		t.Run(tc.dir, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(tc.dir, tc.file))
			if err != nil {
				t.Skip("this kernel has none: ", err)
			}
			opts := snaptest.Fixed(tc.dir)
			opts.Cache = filepath.Join(t.TempDir(), "cache")
			for range 2 {
				store, res := verified(t, opts)
				if got, has := content(t, store, res, tc.file); !has || got != string(want) {
					t.Errorf("%q, %v; want %q: %v", got, has, want, res.Problems)
				}
				short := slices.ContainsFunc(res.Problems, func(p snapshot.Problem) bool {
					return p.Path == tc.file && errors.Is(p, create.ErrShort)
				})
				if short != tc.short {
					t.Errorf("problems: %v", res.Problems)
				}
			}
		})
	}
}

// TestTooManyAttributes has more extended attributes than a manifest holds: what there is
// room for is there, and the rest is told, each time.
func TestTooManyAttributes(t *testing.T) {
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=8m"); err != nil {
		t.Skip("cannot mount here: ", err)
	}
	defer func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"dir", "dir/small", "dir/large"} {
		path := filepath.Join(root, name)
		err := error(nil)
		if name == "dir" {
			err = os.Mkdir(path, 0o755)
		} else {
			err = os.WriteFile(path, snaptest.Noise(len(name)*10_000), 0o600)
		}
		for i := range manifest.MaxXattrs + 1 {
			err = errors.Join(err, unix.Setxattr(path, fmt.Sprintf("user.%03d", i), []byte("x"), 0))
		}
		if err != nil {
			t.Skip("this tmpfs has no attributes: ", err)
		}
	}
	opts := snaptest.Fixed(root)
	opts.Cache = filepath.Join(t.TempDir(), "cache")
	for range 2 {
		store, res := verified(t, opts)
		var told []string
		for _, p := range res.Problems {
			if errors.Is(p, create.ErrAttributes) {
				told = append(told, p.Path)
			}
		}
		if want := []string{"dir", "dir/large", "dir/small"}; !slices.Equal(told, want) {
			t.Errorf("told of %q, want %q: %v", told, want, res.Problems)
		}
		for it, err := range snapshot.Walk(t.Context(), store, res.ID) {
			if err != nil {
				t.Fatal(err)
			}
			if it.Path != "" && len(it.Entry.Xattrs) != manifest.MaxXattrs {
				t.Errorf("%s has %d", it.Path, len(it.Entry.Xattrs))
			}
		}
		if got, _ := content(t, store, res, "dir/large"); got != string(snaptest.Noise(90_000)) {
			t.Error("the content is another")
		}
	}
}

const withoutProcVariable = "SNAPSHOT_TEST_WITHOUT_PROC"

// TestWithoutProc runs itself where /proc is not mounted, as in a rescue shell. What cannot
// be opened is in the snapshot all the same, and nothing goes missing without a word.
func TestWithoutProc(t *testing.T) {
	if root := os.Getenv(withoutProcVariable); root != "" {
		withoutProc(t, root)
		return
	}
	root := t.TempDir()
	if err := errors.Join(os.Symlink("target", filepath.Join(root, "link")), unix.Mkfifo(filepath.Join(root, "fifo"), 0o600),
		os.WriteFile(filepath.Join(root, "file"), []byte("content"), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWithoutProc$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), withoutProcVariable+"="+root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) || bytes.Contains(out, []byte("--- SKIP")) {
		t.Skip("no namespaces here: ", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func withoutProc(t *testing.T, root string) {
	t.Helper()
	if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("tmpfs", "/proc", "tmpfs", 0, "")); err != nil {
		t.Skip("cannot mount here: ", err)
	}
	store, res := verified(t, snaptest.Fixed(root))
	if got := paths(t, store, res.ID); !slices.Equal(got, []string{"", "fifo", "file", "link"}) {
		t.Errorf("the snapshot holds %q", got)
	}
	for _, p := range res.Problems { // of a kernel before 6.13
		if !errors.Is(p, fsys.ErrNoProc) {
			t.Error(p)
		}
	}
}
