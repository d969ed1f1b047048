package kernel_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
)

const panicVariable = "KERNEL_TEST_PANIC"

// A part that panics ends the process: what it has left half done is known to nobody. The
// repository can be opened again.
func TestPanicEndsTheProcess(t *testing.T) {
	if dir := os.Getenv(panicVariable); dir != "" {
		n, err := kernel.Open(t.Context(), kerneltest.Options(repo.Dir(dir), &part{name: "mad", open: func(*kernel.Kernel) (kernel.Running, error) {
			return kernel.Running{Run: func(context.Context) error { panic("out of its mind") }, Again: true}, nil
		}}))
		if err != nil {
			t.Fatal(err)
		}
		t.Fatal(n.Run(t.Context(), t.Context())) // it does not come back
	}
	dir := kerneltest.NewRepo(t, nil)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPanicEndsTheProcess$", "-test.count=1")
	cmd.Env = append(os.Environ(), panicVariable+"="+string(dir))
	out, err := cmd.CombinedOutput()
	ended, ok := errors.AsType[*exec.ExitError](err)
	if !ok || ended.ExitCode() != 2 || !strings.Contains(string(out), "panic: out of its mind") {
		t.Errorf("it ended with %v:\n%s", err, out)
	}
	kerneltest.Start(t, kerneltest.Options(dir))
}
