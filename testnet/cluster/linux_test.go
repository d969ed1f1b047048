package cluster

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// orphanEnv makes TestDaemonsDieWithTheirParent the parent that is killed.
const orphanEnv = "DECUBE_TEST_ORPHAN"

func TestDaemonsDieWithTheirParent(t *testing.T) {
	if os.Getenv(orphanEnv) != "" {
		n := start(t, open(t, Options{}), "one", NodeOptions{})
		fmt.Println("pid", pid(t, n))
		select {} // until killed
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self, "-test.run", "^"+t.Name()+"$")
	// It cannot remove what it leaves behind: that is put where this test does.
	parent.Env = append(os.Environ(), orphanEnv+"=1", "TMPDIR="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	child := 0
	for lines := bufio.NewScanner(out); child == 0 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			if child, err = strconv.Atoi(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	fd, err := unix.PidfdOpen(child, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// A pidfd is readable once its process has ended.
	const patience = 10_000 // ms
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience); err != nil || n != 1 {
		t.Errorf("the daemon lives on after its parent was killed (%d, %v)", n, err)
	}
	if err := parent.Wait(); err == nil {
		t.Error("the parent was not killed")
	}
}
