package create

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// void is a sink that keeps nothing, and says that it holds all.
type void struct{}

func (void) Touch(_ context.Context, ids []block.ID) ([]bool, error) {
	return slices.Repeat([]bool{true}, len(ids)), nil
}

func (void) Add(_ context.Context, _ block.Block, release func()) error {
	if release != nil {
		release()
	}
	return nil
}

func (void) Flush(context.Context) (blockstore.WriteStats, error) {
	return blockstore.WriteStats{}, nil
}

// TestListedInAdvance goes down a tree that has, next to each directory of the path, further
// ones with many names. However deep it is, few of them are listed before their turn.
func TestListedInAdvance(t *testing.T) {
	dir := t.TempDir()
	const depth, beside, each = 6, 15, 600
	at := dir
	for range depth {
		for i := range beside {
			sub := filepath.Join(at, fmt.Sprintf("b%02d", i))
			if err := os.MkdirAll(sub, 0o700); err != nil {
				t.Fatal(err)
			}
			// Names of one symlink: to make as many inodes takes ext4 half a minute.
			first := filepath.Join(sub, "000")
			if err := os.Symlink("x", first); err != nil {
				t.Fatal(err)
			}
			for j := 1; j < each; j++ {
				if err := os.Link(first, filepath.Join(sub, fmt.Sprintf("%03d", j))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if at = filepath.Join(at, "a"); os.Mkdir(at, 0o700) != nil {
			t.Fatal("no directory")
		}
	}
	c := newCreator(void{}, Options{Path: dir, Time: time.Unix(1, 0)})
	_, top, err := c.openTop()
	if err != nil {
		t.Fatal(err)
	}
	defer c.root.Close()
	defer c.spool.close()
	var most atomic.Int64
	err = c.run(t.Context(), func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			samples := time.NewTicker(100 * time.Microsecond)
			defer samples.Stop()
			for ctx.Err() == nil {
				most.Store(max(most.Load(), c.ahead.Load()))
				<-samples.C
			}
		}()
		defer func() { cancel(); <-done }()
		return c.walk(ctx, top)
	})
	if err != nil || c.stats.Others != depth*beside*each {
		t.Errorf("%+v, %v", c.stats, err)
	}
	if n := most.Load(); n > aheadTotal+4*each || n < aheadNames || c.ahead.Load() != 0 {
		t.Errorf("%d names were listed in advance, and %d still are", n, c.ahead.Load())
	}
}
