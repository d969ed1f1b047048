package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInterruptedCreate stops a create in the middle of its input: it ends by
// itself, keeps nothing as a snapshot, and says how to go on.
func TestInterruptedCreate(t *testing.T) {
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "repo")
	run := func(program string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, program), args...)
		cmd.Env = append(os.Environ(), "DECUBE_PATH="+dir)
		return cmd
	}
	if out, err := run("decube-node", "init").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	create := run("decubectl", "snapshot", "create", "-")
	var errs strings.Builder
	create.Stderr = &errs
	in, err := create.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := create.Start(); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	// More than a pipe holds, so that it was read when the write returns.
	if _, err := in.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	if err := create.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err = create.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 130 {
		t.Errorf("ended with %v, want exit code 130", err)
	}
	for _, want := range []string{"Stopped.", "run the same command again", "Error: interrupted"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q is not in what it said: %s", want, errs.String())
		}
	}
	if out, err := run("decubectl", "snapshot", "list", "--quiet").Output(); err != nil || len(out) > 0 {
		t.Errorf("list: %q, %v", out, err)
	}
}
