package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/decube/decube/internal/durable"
)

const leftoverVariable = "DURABLE_TEST_LEFTOVER"

// TestLeftovers kills a process that does nothing but replace a file, until it has left one
// that is not complete. That is removed, and nothing that only looks like it.
func TestLeftovers(t *testing.T) {
	if dir := os.Getenv(leftoverVariable); dir != "" {
		for {
			if err := durable.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	others := []string{".file", ".file-1234567890123", ".file1", ".file123456789012x", ".other1234567890123", "file"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := func() []string {
		list, err := durable.OS.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for range 100 {
		killWriter(t, dir)
		if len(names()) > len(others) {
			break
		}
	}
	if len(names()) == len(others) {
		t.Fatal("no process was killed in the midst of writing")
	}
	durable.RemoveLeftovers(durable.OS, dir, "none", "file")
	if got := names(); !slices.Equal(got, others) {
		t.Errorf("left are %q, want %q", got, others)
	}
}

// killWriter starts a process that replaces the file, and kills it when it has begun.
func killWriter(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, "file")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLeftovers$", "-test.count=1")
	cmd.Env = append(os.Environ(), leftoverVariable+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatal(err)
	}
}
