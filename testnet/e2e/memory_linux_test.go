package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/internal/exitcode"
)

// memoryBound is how many bytes of memory taking any snapshot may need.
const memoryBound = 160 << 20

// A command's memory does not grow with the names that a directory has, nor with the names
// that a file has, nor with what cannot be read. Larger trees are measured by benchmarks.
func TestCreateStaysSmall(t *testing.T) {
	t.Parallel()
	source, dir := t.TempDir(), filepath.Join(t.TempDir(), "repo")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const names, each = 120_000, 30_000 // ext4 gives a file 65,000
	for i := range names {
		file := filepath.Join(source, fmt.Sprintf("%06d", i/each*each))
		if i%each == 0 {
			check(os.WriteFile(file, noise(uint64(i), 4000), 0o600))
			continue
		}
		check(os.Link(file, filepath.Join(source, fmt.Sprintf("%06d", i))))
	}
	unreadable := filepath.Join(source, "unreadable")
	check(os.Mkdir(unreadable, 0o700))
	check(os.WriteFile(filepath.Join(unreadable, "0"), nil, 0))
	for i := 1; i < each; i++ {
		check(os.Link(filepath.Join(unreadable, "0"), filepath.Join(unreadable, fmt.Sprint(i))))
	}
	if a := program(t, "decube-node", []string{"init", "--repo", dir}, nil); a.code != 0 {
		t.Fatal(a.errs)
	}
	run := func(want int, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "decubectl"), append(args, "--repo", dir)...)
		cmd.Env = []string{"HOME=" + filepath.Dir(dir)}
		a, peak := measured(t, cmd)
		a.ends(t, want)
		if peak == 0 || peak > memoryBound {
			t.Errorf("%v took %d MiB", args, peak>>20)
		}
	}
	want := exitcode.Partial
	if os.Geteuid() == 0 { // may read everything
		want = exitcode.OK
	}
	for _, what := range []string{"first", "again"} {
		run(want, "snapshot", "create", source, "--label", what)
	}
}

// measured runs a command to its end, and returns the most bytes that were seen to be
// resident. What the kernel says at its end will not do: it counts the memory of the test
// that the command began as a copy of.
func measured(t *testing.T, cmd *exec.Cmd) (a answer, peak int64) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the exit code says how it ended
	}()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ended:
			return answer{what: commandLine(cmd), code: cmd.ProcessState.ExitCode(), out: out.String(), errs: errs.String()}, peak
		case <-look.C:
			if _, most, err := bench.Resident(cmd.Process.Pid); err == nil {
				peak = max(peak, most)
			}
		}
	}
}
