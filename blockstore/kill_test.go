package blockstore_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/blockstore/storetest"
)

// childEnv holds the store's directory in the process that is going to be killed.
const childEnv = "BLOCKSTORE_TEST_CHILD"

// writeUntilKilled stores blocks in several ways at once, and prints the ID of
// each after it was acknowledged.
func writeUntilKilled(dir string) {
	ctx := context.Background()
	s, err := blockstore.Open(dir, testConfig(), blockstore.Options{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var mu sync.Mutex
	ack := func(blocks []block.Block, err error) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, b := range blocks {
			if err == nil {
				_, err = fmt.Println(b.ID())
			}
		}
		return err == nil
	}
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			for {
				blocks := randomBlocks()
				if worker == 0 && !ack(blocks, s.Put(ctx, blocks...)) {
					return
				}
				if worker == 1 && !ack(blocks, writeSession(ctx, s, blocks)) {
					return
				}
			}
		})
	}
	wg.Wait()
}

func randomBlocks() []block.Block {
	var blocks []block.Block
	for range 1 + rand.IntN(5) {
		blocks = append(blocks, storetest.Block(rand.IntN(1<<(8+rand.IntN(13))), rand.Uint64()))
	}
	return blocks
}

func writeSession(ctx context.Context, s *blockstore.Store, blocks []block.Block) error {
	w, err := s.NewWriter(ctx)
	if err != nil {
		return err
	}
	for _, b := range blocks {
		if err := w.Add(ctx, b, nil); err != nil {
			return err
		}
	}
	if _, err := w.Flush(ctx); err != nil {
		return err
	}
	return w.Close()
}

// TestKill kills a process that writes, at random moments, and looks for every
// block that it had acknowledged.
func TestKill(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 4
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	acked := map[block.ID]bool{}
	for round := range rounds {
		n := len(acked)
		runAndKill(t, dir, 1+rng.IntN(40), acked)
		if len(acked) == n {
			t.Fatalf("round %d: nothing was acknowledged", round)
		}
		s := open(t, dir)
		for id := range acked {
			if _, err := s.Get(t.Context(), id, nil); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
		}
		report, err := s.Fsck(t.Context(), blockstore.FsckOptions{ReadData: true})
		if err != nil || !report.OK() {
			t.Errorf("round %d: %+v, %v", round, report, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d rounds, %d blocks acknowledged", rounds, len(acked))
}

// runAndKill kills the child after it printed so many IDs.
func runAndKill(t *testing.T, dir string, after int, acked map[block.ID]bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	for lines := bufio.NewScanner(out); lines.Scan(); after-- {
		id, err := block.Parse(lines.Text())
		if err != nil {
			if !killed { // a line may be cut by the kill
				t.Errorf("the child printed %q", lines.Text())
			}
			continue
		}
		acked[id] = true
		if after == 0 {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}
