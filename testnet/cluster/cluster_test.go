package cluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/decube/decube/internal/bench"
)

// open returns a cluster of fakes that is closed at the end of the test.
func open(t *testing.T, opts Options) *Cluster {
	t.Helper()
	opts.Bin = fakes(t)
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func start(t *testing.T, c *Cluster, name string, opts NodeOptions) *Node {
	t.Helper()
	n, err := c.Start(t.Context(), name, opts)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// gone reports whether a process has ended and was waited for.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func pid(t *testing.T, n *Node) int {
	t.Helper()
	p, err := n.Process()
	if err != nil {
		t.Fatal(err)
	}
	return p.PID
}

func TestStartTellsTheDaemonItsPlace(t *testing.T) {
	c := open(t, Options{Network: "test"})
	n := start(t, c, "one", NodeOptions{Bootstrap: []string{"/ip4/127.0.0.1/tcp/1/p2p/x"}, Args: []string{"--extra"}})
	if n.Name() != "one" || n.ID() != "peer-of-one" || n.API() != "http://127.0.0.1:1" {
		t.Errorf("%s is %s at %s", n.Name(), n.ID(), n.API())
	}
	want := strings.Fields("daemon --api 127.0.0.1:0 --init --listen /ip4/127.0.0.1/udp/0/quic-v1 --listen /ip4/127.0.0.1/tcp/0 " +
		"--bootstrap /ip4/127.0.0.1/tcp/1/p2p/x --network test --extra")
	if !slices.Equal(n.Addrs(), want) { // the fake returns its arguments as addresses
		t.Errorf("daemon was run with %q", n.Addrs())
	}
	out, err := n.Run(t.Context(), "env")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), "="); name == "HOME" && value != filepath.Join(c.Dir(), "one", "home") {
			t.Errorf("decubectl runs in the home %s", value)
		} else if !slices.Contains([]string{"PATH", "HOME", "DECUBE_PATH"}, name) {
			t.Errorf("decubectl sees %s", line)
		}
	}
}

func TestFailedCommandsSayWhy(t *testing.T) {
	n := start(t, open(t, Options{}), "one", NodeOptions{})
	_, err := n.Run(t.Context(), "nonsense")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(err.Error(), "decubectl nonsense") || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("%v", err)
	}
}

func TestStopKillRestart(t *testing.T) {
	n := start(t, open(t, Options{}), "one", NodeOptions{})
	first := pid(t, n)
	if err := n.Restart(t.Context()); !errors.Is(err, ErrRunning) {
		t.Errorf("restart of a running node: %v", err)
	}
	if err := n.Stop(t.Context()); err != nil || !gone(first) {
		t.Errorf("stop: %v, gone: %v", err, gone(first))
	}
	for _, do := range []func() error{n.Kill, n.Pause, n.Resume, func() error { return n.Stop(t.Context()) }} {
		if err := do(); !errors.Is(err, ErrNotRunning) {
			t.Errorf("on a node that has ended: %v", err)
		}
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := pid(t, n)
	if err := n.Kill(); err != nil || !gone(second) {
		t.Errorf("kill: %v, gone: %v", err, gone(second))
	}
}

func TestPauseAndResume(t *testing.T) {
	n := start(t, open(t, Options{}), "one", NodeOptions{})
	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Errorf("a node that was resumed does not end: %v", err)
	}
}

func TestDaemonThatDoesNotStart(t *testing.T) {
	c := open(t, Options{})
	_, err := c.Start(t.Context(), "one", NodeOptions{Env: []string{fakeBroken}})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 11 || !strings.Contains(err.Error(), "repository is in use") {
		t.Errorf("%v", err)
	}
	start(t, c, "one", NodeOptions{}) // the name is free again
}

func TestDaemonThatIsNeverReady(t *testing.T) {
	c := open(t, Options{ReadyTimeout: 200 * time.Millisecond})
	_, err := c.Start(t.Context(), "one", NodeOptions{Env: []string{fakeMute}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestTheReadyLineIsALine(t *testing.T) {
	for _, c := range []struct {
		pieces string // separated by |
		want   bool
	}{
		{"Daemon is ready\n", true},
		{"one\nDaemon is ready\ntwo\n", true},
		{"Dae|mon is rea|dy|\r|\n", true},
		{"Daemon is ready", false},
		{"Daemon is ready soon\n", false},
		{"not yet: Daemon is ready\n", false},
		{"Daemon is ready\nDaemon is ready\n|Daemon is ready\n", true},
	} {
		log, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		w := &watcher{log: log, line: []byte(ready), seen: make(chan struct{})}
		for piece := range strings.SplitSeq(c.pieces, "|") {
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Errorf("%q: %d, %v", piece, n, err)
			}
		}
		if text, err := os.ReadFile(log.Name()); err != nil || string(text) != strings.ReplaceAll(c.pieces, "|", "") {
			t.Errorf("%q is logged as %q, %v", c.pieces, text, err)
		}
		if w.over != c.want {
			t.Errorf("%q: ready is %v", c.pieces, w.over)
		}
	}
}

func TestDaemonThatDoesNotStop(t *testing.T) {
	c := open(t, Options{StopTimeout: 100 * time.Millisecond})
	n := start(t, c, "one", NodeOptions{Env: []string{fakeDeaf}})
	id := pid(t, n)
	if err := n.Stop(t.Context()); !errors.Is(err, context.DeadlineExceeded) || !gone(id) {
		t.Errorf("%v, gone: %v", err, gone(id))
	}
}

func TestDaemonThatFailsAtTheEnd(t *testing.T) {
	n := start(t, open(t, Options{}), "one", NodeOptions{Env: []string{fakeSore}})
	if err := n.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "could not close the store") {
		t.Errorf("%v", err)
	}
}

func TestNamesAreUniqueFileNames(t *testing.T) {
	c := open(t, Options{})
	start(t, c, "one", NodeOptions{})
	for _, name := range []string{"one", "", ".", "..", "a/b"} {
		if _, err := c.Start(t.Context(), name, NodeOptions{}); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	c := open(t, Options{})
	one, two := start(t, c, "one", NodeOptions{Env: []string{fakeDeaf}}), start(t, c, "two", NodeOptions{})
	pids := []int{pid(t, one), pid(t, two)}
	if err := two.Pause(); err != nil {
		t.Fatal(err)
	}
	// Directories that were restored may be read-only.
	locked := filepath.Join(c.Dir(), "restored", "locked")
	if err := os.MkdirAll(filepath.Join(locked, "deeper"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) || !gone(pids[0]) || !gone(pids[1]) {
		t.Errorf("after closing: %v, gone: %v, %v", err, gone(pids[0]), gone(pids[1]))
	}
	if _, err := c.Start(t.Context(), "three", NodeOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("start after close: %v", err)
	}
	if err := one.Restart(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("restart after close: %v", err)
	}
}

func TestAGivenDirectoryIsKept(t *testing.T) {
	dir := t.TempDir()
	c := open(t, Options{Dir: dir})
	n := start(t, c, "one", NodeOptions{})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(n.Log()); err != nil || !strings.Contains(string(text), ready) {
		t.Errorf("log of a closed cluster: %q, %v", text, err)
	}
}

func TestMissingProgramsAreNamed(t *testing.T) {
	if _, err := New(Options{Bin: t.TempDir()}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), daemon) {
		t.Errorf("%v", err)
	}
}

func TestNodesCanBeWatched(t *testing.T) {
	n := start(t, open(t, Options{}), "one", NodeOptions{})
	p, err := n.Process()
	if err != nil {
		t.Fatal(err)
	}
	w, err := bench.Watch(p)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := w.Sample(); err != nil || s.PeakBytes == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
