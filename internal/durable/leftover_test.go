package durable_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/decube/decube/internal/durable"
)

const leftoverVariable = "DURABLE_TEST_LEFTOVER"

// TestLeftovers kills a process that does nothing but replace a file, in the midst of
// writing it. What that leaves is removed, and nothing that only looks like it.
func TestLeftovers(t *testing.T) {
	if dir := os.Getenv(leftoverVariable); dir != "" {
		content := make([]byte, 32<<20) // takes longer than to be seen
		for {
			if err := durable.WriteFile(filepath.Join(dir, "file"), content, 0o600); err != nil {
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
	// A process may have completed the file between being seen and being killed.
	for len(names()) == len(others) {
		killWriter(t, func() bool { return len(names()) > len(others) }, dir)
	}
	durable.RemoveLeftovers(durable.OS, dir, "none", "file")
	if got := names(); !slices.Equal(got, others) {
		t.Errorf("left are %q, want %q", got, others)
	}
}

// killWriter starts a process that replaces the file in a directory, and kills it when it
// is writing.
func killWriter(t *testing.T, isWriting func() bool, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLeftovers$", "-test.count=1")
	cmd.Env = append(os.Environ(), leftoverVariable+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !isWriting() {
		select {
		case err := <-ended:
			t.Fatalf("the process ended by itself: %v", err)
		default:
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || err.Error() != "signal: killed" {
		t.Fatal(err)
	}
}
