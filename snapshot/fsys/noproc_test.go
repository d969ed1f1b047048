package fsys

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const noProcVariable = "FSYS_TEST_NO_PROC"

// TestNotPermittedWithoutProc runs itself where /proc is not mounted, and sets an attribute
// that no symbolic link may have: the kernel says so, and /proc is not what is missing.
func TestNotPermittedWithoutProc(t *testing.T) {
	if root := os.Getenv(noProcVariable); root != "" {
		notPermitted(t, root)
		return
	}
	root := t.TempDir()
	must(t, os.Symlink("target", filepath.Join(root, "link")))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNotPermittedWithoutProc$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), noProcVariable+"="+root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) || bytes.Contains(out, []byte("--- SKIP")) {
		t.Skip("no namespaces here, or an old kernel: ", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func notPermitted(t *testing.T, root string) {
	t.Helper()
	if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("tmpfs", "/proc", "tmpfs", 0, "")); err != nil {
		t.Skip("cannot mount here: ", err)
	}
	if _, _, errno := unix.Syscall6(unix.SYS_SETXATTRAT, 0, 0, 0, 0, 0, 0); errno != unix.EINVAL {
		t.Skip("the kernel has no call for it: ", errno)
	}
	dir := open(t, root)
	if err := dir.SetXattr("link", "user.x", []byte("x")); !errors.Is(err, unix.EPERM) || errors.Is(err, ErrNoProc) {
		t.Errorf("got %v", err)
	}
	if _, err := dir.orProc(1<<20, 0, unix.EPERM, "link", func(path string) (int, error) { return unix.Llistxattr(path, nil) }); !errors.Is(err, ErrNoProc) {
		t.Errorf("as in a sandbox: %v", err)
	}
}
