package content_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/decube/decube/block"
	"github.com/decube/decube/node/content"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kerneltest.Clock) }

func TestConform(t *testing.T) {
	dir := kerneltest.NewRepo(t, nil)
	kerneltest.Conform(t, func() kernel.Options { return kerneltest.Options(dir, content.New(content.Default())) })
}

// What others need of the part is refused while it does not run.
func TestFetchBlocksOutsideItsLife(t *testing.T) {
	p := content.New(content.Default())
	ids := []block.ID{block.New(block.Raw, []byte("x")).ID()}
	if err := p.FetchBlocks(t.Context(), ids); !errors.Is(err, kernel.ErrUnavailable) {
		t.Errorf("before it is open: %v", err)
	}
	n := kerneltest.Start(t, kerneltest.Options(kerneltest.NewRepo(t, nil), p))
	if err := p.FetchBlocks(t.Context(), nil); err != nil {
		t.Errorf("while it runs: %v", err)
	}
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
	if err := p.FetchBlocks(t.Context(), ids); !errors.Is(err, kernel.ErrUnavailable) {
		t.Errorf("after its end: %v", err)
	}
}
