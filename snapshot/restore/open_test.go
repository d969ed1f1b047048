package restore_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

const readOnlyVariable = "RESTORE_TEST_READ_ONLY"

// TestRestoreIntoReadOnlyDirectories runs itself as somebody whom modes bind.
func TestRestoreIntoReadOnlyDirectories(t *testing.T) {
	if os.Geteuid() != 0 {
		readOnlyChild(t)
		return
	}
	if os.Getenv(readOnlyVariable) != "" {
		t.Fatal("the child is root")
	}
	dir := t.TempDir()
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
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestRestoreIntoReadOnlyDirectories$", "-test.count=1")
	cmd.Env = append(os.Environ(), readOnlyVariable+"=1", "TMPDIR="+dir)
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
