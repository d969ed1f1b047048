package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/testnet/cluster"
)

// nobody is who may not write in a directory of mode 0500.
const nobody = 65534

// readOnlyMount makes a repository read-only as a whole.
func readOnlyMount(t *testing.T, dir string) (as *syscall.Credential) {
	t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return nil
}

// noPermission takes its owner's permission to write away, and returns the owner.
func noPermission(t *testing.T, dir string) (as *syscall.Credential) {
	t.Helper()
	for _, args := range [][]string{{"chown", "-R", "65534:65534", dir}, {"chmod", "-R", "u-w", dir}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return &syscall.Credential{Uid: nobody, Gid: nobody}
}

// state is everything below a directory: names, sizes and times.
func state(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "find", dir, "-printf", "%P %s %T@ %C@ %m\n").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestReadOnlyRepository lists, verifies and restores from a repository that cannot
// be written, one that was left in order and one of a daemon that was killed, and
// does nothing else with it.
func TestReadOnlyRepository(t *testing.T) {
	t.Parallel()
	smallDisk(t, "1m") // says whether mounts are allowed here
	for name, protect := range map[string]func(*testing.T, string) *syscall.Credential{
		"mounted read-only": readOnlyMount, "without permission": noPermission,
	} {
		for _, killed := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " after a kill"}[killed], func(t *testing.T) {
				n := start(t, swarm(t), "one", nil)
				source := tree(t, 80, 10, 64<<10)
				cid := create(t, n, source).CID.String()
				end := func() error { return n.Stop(t.Context()) }
				if killed {
					end = n.Kill
				}
				if err := end(); err != nil {
					t.Fatal(err)
				}
				dir := reachable(t, n)
				as := protect(t, dir)
				before := state(t, dir)
				target := filepath.Join(everybodys(t), "target")
				program := filepath.Join(filepath.Dir(target), "ctl")
				if err := os.WriteFile(program, content(t, filepath.Join(bin, "decubectl")), 0o755); err != nil {
					t.Fatal(err)
				}
				run := func(args ...string) answer {
					cmd := n.Command(t.Context(), args...)
					cmd.Path, cmd.Dir = program, filepath.Dir(target)
					cmd.Args = append(cmd.Args, "--repo", dir)
					cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
					cmd.Env = append(cmd.Env, "TMPDIR="+cmd.Dir, "HOME="+cmd.Dir)
					return answerOf(t, cmd)
				}
				if a := run("snapshot", "list"); a.code != 0 || !strings.Contains(a.out, cid) {
					t.Errorf("%+v", a)
				}
				run("snapshot", "ls", cid).ends(t, 0)
				run("snapshot", "verify", cid, "--read-data").ends(t, 0)
				run("repo", "stat").ends(t, 0)
				run("repo", "fsck", "--read-data").ends(t, 0)
				run("snapshot", "restore", cid, target).ends(t, 0, "read-only|reading only")
				complete(t, target, source)
				run("snapshot", "forget", cid).ends(t, 1, "read-only|reading only")
				run("snapshot", "create", program).ends(t, 1, "read-only|reading only")
				run("gc").ends(t, 1, "read-only|reading only")
				run("repo", "fsck", "--repair").ends(t, 1, "read-only|reading only")
				if after := state(t, dir); after != before {
					t.Errorf("the repository was changed from\n%s\nto\n%s", before, after)
				}
				if left, err := filepath.Glob(filepath.Join(filepath.Dir(target), "decube-*")); err != nil || len(left) > 0 {
					t.Errorf("%q were left, %v", left, err)
				}
			})
		}
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// reachable moves a node's repository to where every user may go.
func reachable(t *testing.T, n *cluster.Node) string {
	t.Helper()
	dir := filepath.Join(everybodys(t), "repo")
	if err := os.Rename(n.Repo(), dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(repo.Dir(dir).Socket()); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return dir
}

// everybodys returns a directory that every user may go to and write in.
func everybodys(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o777), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir
}
