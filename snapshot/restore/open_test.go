package restore_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// childVariable has the directory of a test that was run again as nobody.
const childVariable = "RESTORE_TEST_CHILD"

// TestRestoreIntoReadOnlyDirectories runs itself as somebody whom modes bind.
func TestRestoreIntoReadOnlyDirectories(t *testing.T) {
	if os.Geteuid() != 0 {
		readOnlyChild(t)
		return
	}
	asNobody(t, t.TempDir())
}

// asNobody runs the test again as nobody, with a directory in which everybody may write.
func asNobody(t *testing.T, dir string) {
	t.Helper()
	if os.Getenv(childVariable) != "" {
		t.Fatal("the child is root")
	}
	for up := dir; up != "/" && up != os.TempDir(); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "child")
	data, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = errors.Join(os.WriteFile(program, data, 0o755), os.Chmod(program, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), childVariable+"="+dir, "TMPDIR="+dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func readOnlyChild(t *testing.T) {
	t.Helper()
	must := snaptest.Musts(t)
	src, dst := t.TempDir(), filepath.Join(t.TempDir(), "out")
	modes := map[string]os.FileMode{"": 0o555, "a": 0o500, "a/b": 0}
	must(os.MkdirAll(filepath.Join(src, "a/b"), 0o755), os.WriteFile(filepath.Join(src, "a/b/file"), []byte("content"), 0o600),
		os.WriteFile(filepath.Join(src, "other"), []byte("other"), 0o600), os.Chmod(filepath.Join(src, "a/b"), 0o700))
	for _, path := range []string{"a", ""} {
		must(os.Chmod(filepath.Join(src, path), modes[path]))
	}
	open := func(top string) {
		must(os.Chmod(top, 0o755), os.Chmod(filepath.Join(top, "a"), 0o755), os.Chmod(filepath.Join(top, "a/b"), 0o755))
	}
	t.Cleanup(func() { open(src); open(dst) })
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	check := func(what string, opts restore.Options, want map[string]os.FileMode) {
		t.Helper()
		got, err := restore.Snapshot(t.Context(), store, res.ID, dst, opts)
		if err != nil || got.Partial() {
			t.Fatalf("%s: %+v, %v", what, got, err)
		}
		for _, path := range []string{"", "a", "a/b"} {
			info, err := os.Stat(filepath.Join(dst, path))
			must(err)
			if mode := info.Mode().Perm(); mode != want[path] {
				t.Errorf("%s: %q has the mode %o, want %o", what, path, mode, want[path])
			}
			must(os.Chmod(filepath.Join(dst, path), 0o755))
		}
		if data, err := os.ReadFile(filepath.Join(dst, "a/b/file")); err != nil || string(data) != "content" {
			t.Errorf("%s: %q, %v", what, data, err)
		}
		must(os.Remove(filepath.Join(dst, "a/b/file")))
		for _, path := range []string{"a/b", "a", ""} {
			must(os.Chmod(filepath.Join(dst, path), want[path]))
		}
	}
	recorded := map[string]os.FileMode{"": 0o555, "a": 0o500, "a/b": 0o700}
	check("anew", restore.Options{}, recorded)
	check("again", restore.Options{}, recorded)
	shut := map[string]os.FileMode{"": 0o511, "a": 0o100, "a/b": 0}
	for _, path := range []string{"a/b", "a", ""} {
		must(os.Chmod(filepath.Join(dst, path), 0o755))
	}
	for _, path := range []string{"a/b", "a", ""} {
		must(os.Chmod(filepath.Join(dst, path), shut[path]))
	}
	check("with an include", restore.Options{Include: []string{"a/b/file"}, Existing: restore.Overwrite}, map[string]os.FileMode{"": 0o511, "a": 0o100, "a/b": 0})
}

// TestRestoreIntoDirectoriesOfOthers has directories in the target in which nobody may make
// anything, or even look. Each is one problem, whatever it costs, and the rest is restored.
func TestRestoreIntoDirectoriesOfOthers(t *testing.T) {
	dir, must := os.Getenv(childVariable), snaptest.Musts(t)
	if os.Geteuid() == 0 {
		dir = t.TempDir()
		must(os.MkdirAll(filepath.Join(dir, "out/shut/there"), 0o755), os.Mkdir(filepath.Join(dir, "out/dark"), 0o711),
			os.Chown(filepath.Join(dir, "out"), 65534, 65534))
		asNobody(t, dir)
		return
	}
	if dir == "" {
		t.Skip("it takes root to make directories of others")
	}
	src := t.TempDir()
	must(os.MkdirAll(filepath.Join(src, "shut/there"), 0o755), os.MkdirAll(filepath.Join(src, "shut/sub/below"), 0o755), os.Mkdir(filepath.Join(src, "dark"), 0o755),
		os.Symlink("x", filepath.Join(src, "shut/link")), os.WriteFile(filepath.Join(src, "shut/large"), snaptest.Noise(9<<20), 0o600),
		os.WriteFile(filepath.Join(src, "a"), nil, 0o600), os.Link(filepath.Join(src, "a"), filepath.Join(src, "shut/a")))
	for i := range 100 {
		for _, in := range []string{"shut", "dark", ""} {
			must(os.WriteFile(filepath.Join(src, in, fmt.Sprintf("f%d", i)), []byte("x"), 0o600))
		}
	}
	store := snaptest.NewStore()
	id := snaptest.Create(t, store, snaptest.Fixed(src)).ID
	got, err := restore.Snapshot(t.Context(), store, id, filepath.Join(dir, "out"), restore.Options{})
	if err != nil || got.Files != 101 {
		t.Errorf("%d files, %v", got.Files, err)
	}
	var told []string
	for _, p := range got.Problems {
		if p.Op != "set the time of" { // of what is somebody else's
			told = append(told, p.Error())
		}
	}
	want := []string{"open dark: permission denied", "write in shut: permission denied: names that could not be made: 104"}
	if !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}

// TestNothingWritten fails before anything is written, which a target that was there is not.
func TestNothingWritten(t *testing.T) {
	src, dst, must := t.TempDir(), t.TempDir(), snaptest.Musts(t)
	must(os.WriteFile(filepath.Join(src, "a"), []byte("x"), 0o600), os.Mkdir(filepath.Join(dst, "a"), 0o700))
	store := snaptest.NewStore()
	id := snaptest.Create(t, store, snaptest.Fixed(src)).ID
	got, err := restore.Snapshot(t.Context(), store, id, dst, restore.Options{Existing: restore.Overwrite})
	if !errors.Is(err, restore.ErrTargetExists) || got.Wrote() {
		t.Errorf("%+v, %v", got, err)
	}
	must(os.Remove(filepath.Join(dst, "a")), os.Remove(dst))
	for _, dirs := range []int64{1, 0} {
		if got, err = restore.Snapshot(t.Context(), store, id, dst, restore.Options{}); err != nil || got.Dirs != dirs {
			t.Errorf("%d directories made, want %d: %v", got.Dirs, dirs, err)
		}
	}
}
