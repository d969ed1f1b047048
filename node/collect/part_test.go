package collect

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kerneltest.Clock) }

func TestConform(t *testing.T) {
	dir := kerneltest.NewRepo(t, nil)
	kerneltest.Conform(t, func() kernel.Options { return kerneltest.Options(dir, New(Default(), 1<<30)) })
	idle := Default()
	idle.Enabled = false
	kerneltest.Conform(t, func() kernel.Options { return kerneltest.Options(dir, New(idle, 0)) })
}
