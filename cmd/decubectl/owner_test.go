package main

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/decube/decube/internal/exitcode"
)

// TestOtherUsersRepository calls decubectl as root on the repository of a service that
// runs as somebody else.
func TestOtherUsersRepository(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be two users; TestLockRefusesOtherUsers holds without it")
	}
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	repository := filepath.Join(dir, "repo")
	run := func(uid uint32, program string, args ...string) (out string, code int) {
		// A daemon that starts, which it should not, must not run for ever.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(bin, program), args...)
		cmd.Env = append(os.Environ(), "DECUBE_PATH="+repository, "HOME="+dir, "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		text, err := cmd.CombinedOutput()
		if _, isExit := err.(*exec.ExitError); err != nil && !isExit { //nolint:errorlint // what Run returns is not wrapped
			t.Fatal(err)
		}
		return string(text), cmd.ProcessState.ExitCode()
	}
	ofNobody := func(args ...string) {
		t.Helper()
		if out, code := run(nobody, args[0], args[1:]...); code != exitcode.OK {
			t.Fatalf("%v as the service's user: exit code %d\n%s", args, code, out)
		}
	}
	ofNobody("decube-node", "init")
	for _, args := range [][]string{
		{"decubectl", "snapshot", "create", "/etc/hostname"}, {"decubectl", "snapshot", "list"}, {"decubectl", "repo", "fsck", "--repair"}, {"decube-node", "daemon"},
	} {
		out, code := run(0, args[0], args[1:]...)
		if code != exitcode.NotAuthorised || !strings.Contains(out, "belongs to another user") {
			t.Errorf("%v as root: exit code %d\n%s", args, code, out)
		}
	}
	err = filepath.WalkDir(repository, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != nobody {
			t.Errorf("%s is of user %d now", path, st.Uid)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ofNobody("decubectl", "snapshot", "create", "/etc/passwd")

	// What somebody made all the same is no damage that a repair could mend.
	tables, err := filepath.Glob(filepath.Join(repository, "blocks/index/*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	if err := os.Chown(tables[0], 0, 0); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"decubectl", "snapshot", "list"}, {"decubectl", "repo", "fsck", "--repair"}, {"decube-node", "daemon"}} {
		out, code := run(nobody, args[0], args[1:]...)
		if code != exitcode.Failed || !strings.Contains(out, "chown -R") || strings.Contains(out, "damaged, repair") {
			t.Errorf("%v with a file of root's: exit code %d\n%s", args, code, out)
		}
	}
	if err := os.Chown(tables[0], nobody, nobody); err != nil {
		t.Fatal(err)
	}
	ofNobody("decubectl", "snapshot", "list")
}
