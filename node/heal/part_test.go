package heal

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/decube/decube/block"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kerneltest.Clock) }

// nobody has no block.
type nobody struct{}

func (nobody) FetchBlocks(context.Context, []block.ID) error { return errors.New("nobody has it") }

func TestConform(t *testing.T) {
	dir := kerneltest.NewRepo(t, nil)
	kerneltest.Conform(t, func() kernel.Options { return kerneltest.Options(dir, New(nobody{})) })
}

func TestWaitingBlocksAreWarnedOf(t *testing.T) {
	part := New(nobody{})
	p := kerneltest.Start(t, kerneltest.Options(kerneltest.NewRepo(t, nil), part))
	if w := p.Warnings(t.Context()); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
	for _, id := range someBlocks(3) {
		part.healer.damaged(id)
	}
	if w := p.Warnings(t.Context()); len(w) != 1 || !strings.HasPrefix(w[0], "3 damaged blocks are waiting") {
		t.Errorf("warnings %q", w)
	}
}
