package blockstore

import (
	"context"
	"errors"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/durable"
)

// TestBallast fills a disk on which a store lies: what is there can be protected by a
// session and collected, and the space that was set aside is there again afterwards.
func TestBallast(t *testing.T) {
	ctx := t.Context()
	w := newWorld(1)
	w.fs.SetCapacity(4 * leastFree)
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	if held := s.space.ballast.size(); held != leastFree/2 {
		t.Fatalf("%d bytes are set aside", held)
	}
	kept, dead := crashBlock(1<<20, 1), crashBlock(1<<20, 2)
	if err := errors.Join(s.Put(ctx, kept, dead), s.SetPin(ctx, Pin{Root: kept.ID()}), s.SetPin(ctx, Pin{Root: dead.ID()})); err != nil {
		t.Fatal(err)
	}
	if _, err := s.epochs.next(); err != nil { // so that a session has something to stamp
		t.Fatal(err)
	}
	fillUp(t, w)
	session, err := s.NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := session.Touch(ctx, []block.ID{dead.ID()}); err != nil || !held[0] {
		t.Fatalf("a session on a full disk: %v, %v", held, err)
	}
	if err := s.Put(ctx, crashBlock(100, 3)); !errors.Is(err, ErrNoSpace) {
		t.Errorf("Put on a full disk: %v", err)
	}
	if err := s.CheckWritable(ctx); !errors.Is(err, ErrNoSpace) {
		t.Errorf("CheckWritable on a full disk: %v", err)
	}
	if err := s.RemovePin(ctx, dead.ID()); err != nil {
		t.Fatal(err)
	}
	rootsOnly := func(context.Context, Pin, func(block.ID) bool) error { return nil }
	collect := func(want int64) {
		t.Helper()
		res, err := s.GC(ctx, GCOptions{Mark: rootsOnly})
		if err != nil || res.SweptBlocks != want {
			t.Errorf("%d blocks were removed, want %d: %v", res.SweptBlocks, want, err)
		}
		if held := s.space.ballast.size(); held < leastFree/2-1<<20 {
			t.Errorf("%d bytes are set aside after a collection", held)
		}
	}
	collect(0) // the session, whose stamp is in memory, protects it
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	collect(1)
	if free, err := w.fs.Free("/"); err != nil || free < 1<<20 {
		t.Errorf("%d bytes are free, %v", free, err)
	}
	fillUp(t, w)
	if err := s.Close(); err != nil {
		t.Errorf("Close on a full disk: %v", err)
	}
	again, err := w.open()
	if err != nil {
		t.Fatalf("Open on a full disk: %v", err)
	}
	if _, err := again.Get(ctx, kept.ID(), nil); err != nil {
		t.Error(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// A store that has no ballast is not opened for writing on a full disk: Badger would
// have the process killed.
func TestFullDiskWithoutBallast(t *testing.T) {
	w := newWorld(1)
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), w.fs.Remove("/store/ballast")); err != nil {
		t.Fatal(err)
	}
	fillUp(t, w)
	if _, err := w.open(); !errors.Is(err, ErrNoSpace) || errors.Is(err, ErrIndex) {
		t.Errorf("got %v", err)
	}
}

// shrinking is a file system that has less free space with each question, until
// something is removed.
type shrinking struct {
	durable.FS

	free, step int64
}

func (f *shrinking) Free(string) (int64, error) {
	f.free -= f.step
	return max(f.free, 0), nil
}

func (f *shrinking) Remove(name string) error {
	if f.step > 0 {
		f.free = leastFree
	}
	return f.FS.Remove(name)
}

// TestCollectInRounds lets the index use up the free space while entries are
// deleted: the collection stops deleting, frees what it may, and goes on.
func TestCollectInRounds(t *testing.T) {
	ctx := t.Context()
	w := newWorld(1)
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const packs = 3
	var all []block.Block
	for pack := range packs {
		for i := range 1500 {
			all = append(all, crashBlock(2000+i%500, byte(pack*1500+i)), block.New(block.Raw, []byte{byte(pack), byte(i), byte(i >> 8)}))
		}
	}
	if err := s.Put(ctx, all...); err != nil {
		t.Fatal(err)
	}
	st, err := s.Stat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	space := &shrinking{FS: w.fs, free: indexNeeds + 3<<20, step: 1 << 20}
	s.space.fs, s.space.ballast.fs = space, space
	rounds := 0
	res, err := s.GC(ctx, GCOptions{Mark: func(context.Context, Pin, func(block.ID) bool) error { return nil }, Progress: func(p Progress) {
		if p.Stage == "free" && p.Done == 0 {
			rounds++
			space.free = indexNeeds + 4<<20 // what a round gives back
		}
	}})
	if err != nil || res.SweptBlocks != st.Blocks || res.KeptBlocks != 0 || rounds < 2 {
		t.Errorf("%d of %d blocks were removed in %d rounds: %+v, %v", res.SweptBlocks, st.Blocks, rounds, res, err)
	}
}
