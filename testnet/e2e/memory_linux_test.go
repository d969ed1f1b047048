package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

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
		a := answerOf(t, cmd)
		a.ends(t, want)
		used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			t.Fatal("no resource usage")
		}
		if peak := used.Maxrss << 10; peak > memoryBound {
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
