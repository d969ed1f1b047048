package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user without privileges, for what root may read and others may not.
const nobody = 65534

// TestPartialCreate takes a snapshot of a tree with a file that cannot be read: the
// rest is kept, the file is named, and the exit code is 3.
func TestPartialCreate(t *testing.T) {
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"open": 0o644, "secret": 0} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	run := func(program string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, program), args...)
		cmd.Env = append(os.Environ(), "DECUBE_PATH="+filepath.Join(dir, "repo"), "HOME="+dir)
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		return cmd
	}
	if os.Geteuid() == 0 {
		for _, path := range []string{dir, filepath.Dir(dir), src, filepath.Join(src, "open"), filepath.Join(src, "secret")} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, err := run("decube-node", "init").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := run("decubectl", "snapshot", "create", src, "--json").Output()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 3 {
		t.Fatalf("ended with %v, want exit code 3", err)
	}
	if text := string(exit.Stderr); !strings.Contains(text, "secret") || !strings.Contains(text, "not complete: 1 problem") {
		t.Errorf("said %s", text)
	}
	var res created
	if err := json.Unmarshal(out, &res); err != nil || !res.Partial || res.Files != 1 || len(res.Problems) != 1 {
		t.Errorf("%v: %s", err, out)
	}
	list, err := run("decubectl", "snapshot", "list", "--quiet").Output()
	if err != nil || !strings.Contains(string(list), "(partial)") {
		t.Errorf("list: %v\n%s", err, list)
	}
}
