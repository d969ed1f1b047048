package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Programs that are up to date are not linked again, who builds them at the same time gets
// them too, and what one does with its own is nothing to the others.
func TestBuild(t *testing.T) {
	linked := func() (all []os.FileInfo) {
		root, err := moduleRoot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range []string{daemon, control} {
			info, err := os.Stat(filepath.Join(root, "bin", "test", program))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, info)
		}
		return all
	}
	if err := Build(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	before := linked()
	dirs := []string{t.TempDir(), t.TempDir()}
	var all sync.WaitGroup
	for _, dir := range dirs {
		all.Go(func() {
			if err := Build(t.Context(), dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, now := range linked() {
		if !os.SameFile(before[i], now) {
			t.Errorf("%s was linked again", now.Name())
		}
	}
	for _, program := range []string{daemon, control} {
		if err := os.Remove(filepath.Join(dirs[0], program)); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), filepath.Join(dirs[1], program), "version").CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", program, err, out)
		}
	}
}

// A program that was there before is replaced.
func TestPlace(t *testing.T) {
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
	for _, content := range []string{"first", "second"} {
		if err := os.WriteFile(source, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := place(source, target); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(target); err != nil || string(got) != content {
			t.Errorf("%q, %v, want %q", got, err, content)
		}
		if err := os.Remove(source); err != nil {
			t.Fatal(err)
		}
	}
	if err := place(source, target); err == nil {
		t.Error("a program that is not there was put in its place")
	}
}
