package content_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/limits"
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

// budget returns that of a machine with so many GiB.
func budget(t *testing.T, gib int64) *limits.Budget {
	t.Helper()
	b, err := limits.NewBudget(limits.Machine{Memory: gib << 30, Files: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStreamsFitTheMachine(t *testing.T) {
	for _, c := range []struct {
		gib     int64
		streams int
		want    int // 0 where it is refused
	}{
		{24, content.Default().MaxStreams, content.Default().MaxStreams},
		{2, content.Default().MaxStreams, 32},
		{2, 10, 10},
		{2, 1000, 0},
	} {
		cfg, b := content.Default(), budget(t, c.gib)
		cfg.MaxStreams = c.streams
		err := content.New(cfg).Limits(b)
		if refused := c.want == 0; refused != errors.Is(err, config.ErrInvalid) {
			t.Errorf("%d streams on %d GiB: %v", c.streams, c.gib, err)
			continue
		}
		for row := range b.Rows() {
			if row.Streams != c.want || row.Memory != b.Memory/16*11 {
				t.Errorf("%d streams on %d GiB: %+v of %d bytes", c.streams, c.gib, row, b.Memory)
			}
		}
	}
}

// What others have taken is not there to serve with.
func TestServingIsContentWithWhatIsLeft(t *testing.T) {
	for _, c := range []struct {
		left int64 // sixteenths of all memory
		want int64 // 0 where it is refused
	}{{12, 11}, {11, 11}, {8, 8}, {6, 6}, {4, 0}} {
		b := budget(t, 8)
		taken := b.Kad("/kad")
		taken.Memory = b.Free() - c.left*b.Memory/16
		if err := b.Add(taken); err != nil {
			t.Fatal(err)
		}
		err := content.New(content.Default()).Limits(b)
		if c.want == 0 {
			if !errors.Is(err, limits.ErrOverdrawn) {
				t.Errorf("with %d sixteenths: %v", c.left, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("with %d sixteenths: %v", c.left, err)
		}
		for row := range b.Rows() {
			if row.Name == "exchange" && row.Memory != c.want*b.Memory/16 {
				t.Errorf("with %d sixteenths left it takes %d of %d bytes", c.left, row.Memory, b.Memory)
			}
		}
	}
}
