package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

func listPins[W Writer](t *testing.T, s Store[W]) []blockstore.Pin {
	t.Helper()
	var out []blockstore.Pin
	for pin, err := range s.Pins(t.Context()) {
		must(t, err)
		out = append(out, pin)
	}
	return out
}

func testPins[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	when := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	a := blockstore.Pin{Root: Block(1, 1).ID(), Name: "a name \xff", Created: when, Meta: []byte{1, 2}}
	b := blockstore.Pin{Root: Block(1, 2).ID(), Created: when.Add(-time.Hour), Partial: true}
	must(t, s.SetPin(t.Context(), a))
	must(t, s.SetPin(t.Context(), b))
	got := listPins(t, s)
	if len(got) != 2 || got[0].Root != b.Root || !got[0].Partial || got[1].Name != a.Name ||
		!got[1].Created.Equal(when) || !bytes.Equal(got[1].Meta, a.Meta) {
		t.Errorf("got %+v", got)
	}
	if pin, err := s.Pin(t.Context(), a.Root); err != nil || pin.Name != a.Name || !bytes.Equal(pin.Meta, a.Meta) {
		t.Errorf("got %+v, %v", pin, err)
	}
	if _, err := s.Pin(t.Context(), Block(1, 3).ID()); !errors.Is(err, block.ErrNotFound) {
		t.Errorf("the pin of a root that has none: %v", err)
	}
	b.Partial = false
	must(t, s.SetPin(t.Context(), b))
	must(t, s.RemovePin(t.Context(), a.Root))
	if got := listPins(t, s); len(got) != 1 || got[0].Partial {
		t.Errorf("got %+v", got)
	}
	if err := s.SetPin(t.Context(), blockstore.Pin{}); err == nil {
		t.Error("a pin without a root was taken")
	}
	if err := s.SetPin(t.Context(), blockstore.Pin{Root: a.Root, Meta: make([]byte, blockstore.MaxPinMeta+1)}); err == nil {
		t.Error("a pin with too much meta was taken")
	}
}

func testIDs[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	want := map[block.ID]bool{}
	var all []block.Block
	for i := range 3000 { // more than a page of any implementation
		b := Block(8, uint64(i))
		all = append(all, b)
		want[b.ID()] = true
	}
	must(t, s.Put(t.Context(), all...))
	for id, err := range s.IDs(t.Context()) {
		must(t, err)
		if !want[id] {
			t.Fatalf("%s is not there, or came twice", id)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("%d of 3000 are missing", len(want))
	}
	for _, err := range s.IDs(t.Context()) {
		must(t, err)
		break
	}
}

// markList marks the blocks of a pin's Meta, a list of binary IDs.
func markList(_ context.Context, pin blockstore.Pin, yield func(block.ID) bool) error {
	for rest := pin.Meta; len(rest) > 0; rest = rest[block.IDSize:] {
		id, err := block.FromBytes(rest[:block.IDSize])
		if err != nil {
			return err
		}
		if !yield(id) {
			return nil
		}
	}
	return nil
}

// PinOf returns a pin of root that leads to blocks, for MarkList.
func PinOf(root block.Block, blocks ...block.Block) blockstore.Pin {
	pin := blockstore.Pin{Root: root.ID(), Created: time.Unix(1, 0)}
	for _, b := range blocks {
		pin.Meta = b.ID().AppendBytes(pin.Meta)
	}
	return pin
}

// Collect collects what no pin made by PinOf leads to.
func Collect[W Writer](t *testing.T, s Store[W], dry bool) blockstore.GCResult {
	t.Helper()
	res, err := s.GC(t.Context(), blockstore.GCOptions{DryRun: dry, Mark: markList})
	must(t, err)
	return res
}

func testGC[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	kept := Blocks(1, 10, 20, 100<<10, 1<<20)
	dead := Blocks(2, 30, 40, 100<<10, 1<<20)
	for i := range kept { // neighbours in the pack
		must(t, s.Put(t.Context(), kept[i], dead[i]))
	}
	must(t, s.SetPin(t.Context(), PinOf(kept[0], kept[1:]...)))
	res := Collect(t, s, false)
	if res.KeptBlocks != 4 || res.SweptBlocks != 4 || res.SweptBytes != 70+100<<10+1<<20 || res.Pins != 1 {
		t.Errorf("%+v", res)
	}
	CheckHeld(t, s, kept...)
	checkGone(t, s, dead...)
	must(t, s.Put(t.Context(), dead...))
	CheckHeld(t, s, append(kept, dead...)...)
	must(t, s.RemovePin(t.Context(), kept[0].ID()))
	Collect(t, s, false)
	checkGone(t, s, append(kept, dead...)...)
	st, err := s.Stat(t.Context())
	if err != nil || st.Blocks != 0 || st.Bytes != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

func testGCSessions[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	old := Blocks(1, 10, 50<<10)
	must(t, s.Put(t.Context(), old...))
	Collect(t, s, true)
	w, err := s.NewWriter(t.Context())
	must(t, err)
	late, err := s.NewWriter(t.Context())
	must(t, err)
	added := Blocks(2, 20, 60<<10)
	for _, b := range added {
		must(t, w.Add(t.Context(), b, nil))
	}
	if _, err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	Collect(t, s, false) // the session began before it
	CheckHeld(t, s, added...)
	held, err := w.Touch(t.Context(), IDs(added))
	must(t, err)
	if !held[0] || !held[1] {
		t.Errorf("held %v", held)
	}
	must(t, w.Close())
	held, err = late.Touch(t.Context(), IDs(added[:1]))
	must(t, err)
	if !held[0] {
		t.Error("not held")
	}
	Collect(t, s, false)
	CheckHeld(t, s, added[0])
	must(t, late.Close())
	Collect(t, s, false)
	checkGone(t, s, append(old, added...)...)
}

func testDryRun[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	kept, dead := Block(10, 1), Blocks(2, 20, 80<<10)
	must(t, s.Put(t.Context(), kept))
	must(t, s.Put(t.Context(), dead...))
	must(t, s.SetPin(t.Context(), PinOf(kept)))
	dry := Collect(t, s, true)
	CheckHeld(t, s, dead...)
	wet := Collect(t, s, false)
	dry.DryRun, dry.Took, wet.Took = false, 0, 0
	if dry != wet {
		t.Errorf("foretold %+v\nhappened %+v", dry, wet)
	}
}

func testRemoved[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	kept := Block(10, 1)
	want := map[block.ID]bool{}
	all := []block.Block{kept}
	for i := range 3000 { // more than a batch of any implementation
		b := Block(8, uint64(i))
		all = append(all, b)
		want[b.ID()] = true
	}
	must(t, s.Put(t.Context(), all...))
	must(t, s.SetPin(t.Context(), PinOf(kept)))
	collect := func(dry bool) {
		_, err := s.GC(t.Context(), blockstore.GCOptions{DryRun: dry, Mark: markList, Removed: func(ctx context.Context, ids []block.ID) {
			held, err := s.Has(ctx, ids) // no lock is held
			must(t, err)
			for i, id := range ids {
				if !want[id] || held[i] {
					t.Fatalf("%s is held, or was told twice", id)
				}
				delete(want, id)
			}
		}})
		must(t, err)
	}
	collect(true)
	if len(want) != 3000 {
		t.Error("a dry run tells of removed blocks")
	}
	collect(false)
	if len(want) > 0 {
		t.Errorf("%d of 3000 were not told", len(want))
	}
}

func testMarkError[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	b := Block(10, 1)
	must(t, s.Put(t.Context(), b))
	must(t, s.SetPin(t.Context(), PinOf(Block(1, 9))))
	wrong := errors.New("a manifest is missing")
	_, err := s.GC(t.Context(), blockstore.GCOptions{Mark: func(context.Context, blockstore.Pin, func(block.ID) bool) error { return wrong }})
	if !errors.Is(err, wrong) {
		t.Errorf("got %v", err)
	}
	CheckHeld(t, s, b)
	if _, err := s.GC(t.Context(), blockstore.GCOptions{}); err == nil {
		t.Error("a collection without Mark ran")
	}
}

func testContext[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := Block(10, 1)
	_, hasErr := s.Has(ctx, []block.ID{b.ID()})
	_, getErr := s.Get(ctx, b.ID(), nil)
	_, summedErr := s.GetSummed(ctx, b.ID(), nil)
	_, writerErr := s.NewWriter(ctx)
	_, statErr := s.Stat(ctx)
	for i, err := range []error{s.Put(ctx, b), hasErr, getErr, summedErr, writerErr, statErr, s.SetPin(ctx, PinOf(b))} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	checkGone(t, s, b)
}

func testClosed[W Writer](t *testing.T, s Store[W]) {
	t.Helper()
	ctx := t.Context()
	b := Block(10, 1)
	w, err := s.NewWriter(ctx)
	must(t, err)
	must(t, w.Add(ctx, b, nil))
	must(t, s.Close())
	_, hasErr := s.Has(ctx, []block.ID{b.ID()})
	_, getErr := s.Get(ctx, b.ID(), nil)
	_, summedErr := s.GetSummed(ctx, b.ID(), nil)
	_, flushErr := w.Flush(ctx)
	_, gcErr := s.GC(ctx, blockstore.GCOptions{Mark: markList})
	for i, err := range []error{s.Close(), s.Put(ctx, b), hasErr, getErr, summedErr, flushErr, gcErr, w.Add(ctx, b, nil)} {
		if !errors.Is(err, blockstore.ErrClosed) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	must(t, w.Close())
	for _, err := range s.IDs(ctx) {
		if !errors.Is(err, blockstore.ErrClosed) {
			t.Errorf("IDs: %v", err)
		}
	}
}
