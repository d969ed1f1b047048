//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// helperEnv turns this test binary into a program to measure.
const helperEnv = "BENCH_TEST_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case "spend":
		spend()
	case "wait":
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "fail":
		fmt.Fprintln(os.Stderr, "it cannot be done")
		os.Exit(3)
	default:
		os.Exit(m.Run())
	}
}

// spend touches 64 MiB and burns at least 0.1 s of processor time.
func spend() {
	memory := make([]byte, 64<<20)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	for {
		cpu, err := cpuSeconds(os.Getpid())
		if err != nil || cpu >= 0.1 {
			fmt.Println("done", memory[4096])
			return
		}
	}
}

func self(mode string) Command {
	return Command{Path: os.Args[0], Env: []string{helperEnv + "=" + mode}}
}

func TestRunMeasures(t *testing.T) {
	s, out, err := Run(t.Context(), self("spend"), Self())
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != "done 1\n" {
		t.Errorf("output is %q", out)
	}
	if len(s.Processes) != 2 {
		t.Fatalf("%d processes, want the command and the watched one", len(s.Processes))
	}
	p := s.Processes[0]
	if p.CPUSeconds < 0.1 || p.CPUSeconds > 60 {
		t.Errorf("%v CPU seconds, want at least 0.1", p.CPUSeconds)
	}
	if p.PeakBytes < 64<<20 || p.PeakBytes > 200<<20 {
		t.Errorf("peak is %d MiB, want at least 64", p.PeakBytes>>20)
	}
	if s.PeakBytes != p.PeakBytes+s.Processes[1].PeakBytes {
		t.Error("the sample's peak is not the sum of the processes'")
	}
	if s.Seconds <= 0 {
		t.Error("no wall time")
	}
}

// What this process held earlier must not show up as the command's peak.
func TestRunDoesNotInheritThePeak(t *testing.T) {
	big := make([]byte, 128<<20)
	for i := 0; i < len(big); i += 4096 {
		big[i] = 1
	}
	big = nil
	_ = big
	s, _, err := Run(t.Context(), Command{Path: "/bin/true"})
	if err != nil {
		t.Fatal(err)
	}
	now, _, err := Resident(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if s.PeakBytes > now+32<<20 {
		t.Errorf("true used %d MiB, this process holds %d MiB", s.PeakBytes>>20, now>>20)
	}
}

func TestRunFailure(t *testing.T) {
	_, _, err := Run(t.Context(), self("fail"))
	var failed *CommandError
	if !errors.As(err, &failed) || !strings.Contains(failed.Stderr, "cannot be done") {
		t.Fatalf("error is %v", err)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("the exit code is lost: %v", err)
	}
}

func TestRunSaysWhyItWasKilled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, _, err := Run(ctx, self("wait")); !errors.Is(err, why) {
		t.Errorf("error is %v", err)
	}
}

func TestWatch(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"=wait")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	w, err := Watch(Process{"waiter", cmd.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Sample()
	if err != nil {
		t.Fatal(err)
	}
	if s.PeakBytes < 1<<20 || s.Processes[0].Name != "waiter" {
		t.Errorf("%+v", s)
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Sample(); err == nil {
		t.Error("a process that is gone was measured")
	}
}

func TestParseStat(t *testing.T) {
	line := "42 (a ) (b) S 1 42 42 0 -1 4194304 100 0 0 0 150 25 0 0 20 0 1 0 5 0 0"
	if got, err := parseStat([]byte(line)); err != nil || got != 1.75 {
		t.Errorf("%v, %v; want 1.75", got, err)
	}
	for _, bad := range []string{"", "42 (x) S 1 2", strings.Replace(line, "150", "x", 1)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestStatusKB(t *testing.T) {
	status := []byte("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t1024 kB\n")
	if got, err := statusKB(status, "VmHWM"); err != nil || got != 2<<20 {
		t.Errorf("%v, %v; want 2 MiB", got, err)
	}
	if _, err := statusKB(status, "VmPeak"); err == nil {
		t.Error("an absent line was found")
	}
}
