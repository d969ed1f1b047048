package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

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
	if err := ended(fd, 10*time.Second); err != nil {
		t.Errorf("the daemon lives on after its parent was killed: %v", err)
	}
	if err := parent.Wait(); err == nil {
		t.Error("the parent was not killed")
	}
}

// ended waits until the process of a pidfd has ended, which is when it is readable. A
// signal to this process interrupts the call and says nothing about the other one: the
// runtime sends itself such signals all the time.
func ended(fd int, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return context.DeadlineExceeded
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 1:
			return nil
		}
	}
}
