package storetest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// Block returns a block of n bytes that depend on seed.
func Block(n int, seed uint64) block.Block {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(data) // it never fails
	return block.New(block.Raw, data)
}

// Blocks returns blocks of the given sizes.
func Blocks(seed uint64, sizes ...int) []block.Block {
	out := make([]block.Block, len(sizes))
	for i, n := range sizes {
		out[i] = Block(n, seed*1000+uint64(i))
	}
	return out
}

// IDs returns the names of blocks.
func IDs(blocks []block.Block) []block.ID {
	ids := make([]block.ID, len(blocks))
	for i, b := range blocks {
		ids[i] = b.ID()
	}
	return ids
}

// CheckHeld fails the test for each block that is not in the store, intact.
func CheckHeld[W Writer](t *testing.T, s Store[W], blocks ...block.Block) {
	t.Helper()
	held, err := s.Has(t.Context(), IDs(blocks))
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range blocks {
		if !held[i] {
			t.Errorf("block %d, %s, is not held", i, b.ID())
			continue
		}
		got, err := s.Get(t.Context(), b.ID(), nil)
		if err != nil {
			t.Errorf("block %d: %v", i, err)
			continue
		}
		if got.ID() != b.ID() || !bytes.Equal(got.Data(), b.Data()) {
			t.Errorf("block %d, %s, came back as %s", i, b.ID(), got.ID())
		}
	}
}

// checkGone fails the test for each block that is in the store.
func checkGone[W Writer](t *testing.T, s Store[W], blocks ...block.Block) {
	t.Helper()
	held, err := s.Has(t.Context(), IDs(blocks))
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range blocks {
		if held[i] {
			t.Errorf("block %d, %s, is held", i, b.ID())
		}
		if _, err := s.Get(t.Context(), b.ID(), nil); !errors.Is(err, block.ErrNotFound) {
			t.Errorf("Get of block %d: %v", i, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// allSizes goes round the places where layouts change.
var allSizes = []int{0, 1, 63, 64, 65, 4031, 4032, 4033, 32<<10 - 1, 32 << 10, 32<<10 + 1, 1 << 20, block.MaxSize - 1, block.MaxSize}

func testRoundTrip[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	blocks := Blocks(1, allSizes...)
	must(t, s.Put(t.Context(), blocks...))
	CheckHeld(t, s, blocks...)
	for _, b := range blocks {
		n, err := s.Size(t.Context(), b.ID())
		if err != nil || n != b.Len() {
			t.Errorf("Size of a block of %d bytes: %d, %v", b.Len(), n, err)
		}
		data, err := s.GetUnverified(t.Context(), b.ID(), nil)
		if err != nil || !bytes.Equal(data, b.Data()) {
			t.Errorf("GetUnverified of a block of %d bytes: %d bytes, %v", b.Len(), len(data), err)
		}
		data, err = s.GetSummed(t.Context(), b.ID(), nil)
		if err != nil || !bytes.Equal(data, b.Data()) {
			t.Errorf("GetSummed of a block of %d bytes: %d bytes, %v", b.Len(), len(data), err)
		}
	}
}

func testNotFound[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	b := Block(10, 1)
	checkGone(t, s, b)
	if _, err := s.Size(t.Context(), b.ID()); !errors.Is(err, block.ErrNotFound) {
		t.Errorf("Size: %v", err)
	}
	if _, err := s.GetUnverified(t.Context(), b.ID(), nil); !errors.Is(err, block.ErrNotFound) {
		t.Errorf("GetUnverified: %v", err)
	}
	if _, err := s.GetSummed(t.Context(), b.ID(), nil); !errors.Is(err, block.ErrNotFound) {
		t.Errorf("GetSummed: %v", err)
	}
	if err := s.RemovePin(t.Context(), b.ID()); !errors.Is(err, block.ErrNotFound) {
		t.Errorf("RemovePin: %v", err)
	}
	if err := s.Put(t.Context(), block.Block{}); err == nil {
		t.Error("a block without an ID was stored")
	}
	must(t, s.Put(t.Context()))
}

func testBuffer[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	b := Block(1000, 1)
	must(t, s.Put(t.Context(), b))
	for _, size := range []int{0, 999, 1000, 5000} {
		buf := make([]byte, size)
		got, err := s.Get(t.Context(), b.ID(), buf[:0])
		must(t, err)
		if same := size > 0 && &got.Data()[0] == &buf[0]; same != (size >= 1000) {
			t.Errorf("buffer of %d bytes: used is %v", size, same)
		}
		data, err := s.GetSummed(t.Context(), b.ID(), buf[:0])
		must(t, err)
		if same := size > 0 && &data[0] == &buf[0]; same != (size >= 1000) {
			t.Errorf("GetSummed, buffer of %d bytes: used is %v", size, same)
		}
	}
}

func testCodecs[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	raw := Block(100, 1)
	node := block.New(block.DagCBOR, raw.Data())
	must(t, s.Put(t.Context(), raw))
	CheckHeld(t, s, raw, node)
	must(t, s.Put(t.Context(), node))
	st, err := s.Stat(t.Context())
	if err != nil || st.Blocks != 1 || st.Bytes != 100 {
		t.Errorf("%+v, %v", st, err)
	}
}

func testFlush[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	w, err := s.NewWriter(t.Context())
	must(t, err)
	first, second := Blocks(1, 10, 40<<10, 1<<20), Blocks(2, 20, 50<<10)
	for _, blocks := range [][]block.Block{first, second} {
		for _, b := range blocks {
			must(t, w.Add(t.Context(), b, nil))
		}
		_, err := w.Flush(t.Context())
		must(t, err)
		CheckHeld(t, s, blocks...)
	}
	must(t, w.Add(t.Context(), Block(30, 9), nil))
	must(t, w.Close())
	must(t, w.Close())
	CheckHeld(t, s, append(first, second...)...)
}

func testStats[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	blocks := Blocks(1, 10, 20, 30)
	must(t, s.Put(t.Context(), blocks[0]))
	w, err := s.NewWriter(t.Context())
	must(t, err)
	defer w.Close()
	for _, b := range append(blocks, blocks...) {
		must(t, w.Add(t.Context(), b, nil))
	}
	got, err := w.Flush(t.Context())
	must(t, err)
	if want := (blockstore.WriteStats{Blocks: 6, Bytes: 120, NewBlocks: 2, NewBytes: 50, NewRaw: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func testRelease[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	w, err := s.NewWriter(t.Context())
	must(t, err)
	b := Block(100, 1)
	data := bytes.Clone(b.Data())
	calls := 0
	scrub := func() {
		calls++
		clear(data) // the writer must have copied the bytes
	}
	mine, err := block.Check(b.ID(), data)
	must(t, err)
	must(t, w.Add(t.Context(), mine, scrub))
	must(t, w.Add(t.Context(), b, func() { calls++ }))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Add(ended, Block(5, 5), func() { calls++ }); !errors.Is(err, context.Canceled) {
		t.Errorf("Add with an ended context: %v", err)
	}
	_, err = w.Flush(t.Context())
	must(t, err)
	must(t, w.Close())
	if err := w.Add(t.Context(), b, func() { calls++ }); !errors.Is(err, blockstore.ErrClosed) {
		t.Errorf("Add after Close: %v", err)
	}
	if calls != 4 {
		t.Errorf("release was called %d times for 4 blocks", calls)
	}
	CheckHeld(t, s, b)
}

func testTouch[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	blocks := Blocks(1, 10, 20, 30)
	must(t, s.Put(t.Context(), blocks[0]))
	w, err := s.NewWriter(t.Context())
	must(t, err)
	defer w.Close()
	must(t, w.Add(t.Context(), blocks[1], nil))
	held, err := w.Touch(t.Context(), IDs(blocks))
	must(t, err)
	if len(held) != 3 || !held[0] || !held[1] || held[2] {
		t.Errorf("got %v, want stored and pending to be held", held)
	}
}

func testConcurrentPuts[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	blocks := Blocks(1, make([]int, 0)...)
	for i := range 64 {
		blocks = append(blocks, Block(i*1000, 7))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			// Each block is put by two, and by some at the same time.
			for j := i; j < i+16; j++ {
				if err := s.Put(t.Context(), blocks[j%64], blocks[(j*5)%64]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, s.Put(t.Context(), blocks...))
	CheckHeld(t, s, blocks...)
	st, err := s.Stat(t.Context())
	if err != nil || st.Blocks != 64 {
		t.Errorf("%+v, %v", st, err)
	}
}
