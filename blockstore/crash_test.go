package blockstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/kv/memkv"
	"github.com/decube/decube/internal/durable/faultfs"
)

// world is a disk and an index that lose power together.
type world struct {
	fs *faultfs.FS
	db *memkv.DB
}

func newWorld(seed uint64) *world {
	fs := faultfs.New(seed)
	return &world{fs, memkv.New(fs)}
}

func (w *world) reboot() *world {
	fs := w.fs.Reboot()
	return &world{fs, w.db.Reboot(fs)}
}

func (w *world) open() (*Store, error) {
	return Open("/store", crashConfig(), w.options())
}

func (w *world) options() Options {
	return Options{fs: w.fs, openDB: func(string, *slog.Logger) (kv.DB, error) { return w.db, nil }}
}

func crashConfig() Config {
	cfg := Default()
	cfg.MinFree = leastFree
	cfg.PackSize = leastPack
	return cfg
}

// ledger is what a workload was promised.
type ledger struct {
	acked  map[block.ID]bool // must be there
	pinned map[block.ID]bool // pins that must be there
	freed  map[block.ID]bool // collected at some time: may be there or not
}

func crashBlock(n int, seed byte) block.Block {
	data := make([]byte, n)
	for i := range data {
		data[i] = seed ^ byte(i*31) ^ byte(i>>8)
	}
	return block.New(block.Raw, data)
}

// crashWork goes through the life of a store: puts, sessions, a full pack, pins,
// a collection, reopening. It stops at the first error.
func crashWork(ctx context.Context, w *world, l *ledger) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // after a crash, only the goroutines count
	if err := crashSession(ctx, s, l); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	again, err := w.open()
	if err != nil {
		return err
	}
	defer func() { _ = again.Close() }()
	if err := again.Put(ctx, crashBlock(40<<10, 8)); err != nil {
		return err
	}
	l.ack(crashBlock(40<<10, 8))
	return again.Close()
}

func crashSession(ctx context.Context, s *Store, l *ledger) error {
	small, large := crashBlock(100, 1), crashBlock(70<<10, 2)
	if err := s.Put(ctx, small, large); err != nil {
		return err
	}
	l.ack(small, large)
	session, err := s.NewWriter(ctx)
	if err != nil {
		return err
	}
	var list []block.Block
	for i := range 3 { // 4.5 MiB: more than a pack holds
		b := crashBlock(3<<19, byte(10+i))
		if err := session.Add(ctx, b, nil); err != nil {
			return err
		}
		list = append(list, b)
	}
	if _, err := session.Flush(ctx); err != nil {
		return err
	}
	l.ack(list...)
	if err := s.SetPin(ctx, Pin{Root: list[0].ID()}); err != nil {
		return err
	}
	l.pinned[list[0].ID()] = true
	if err := crashPins(ctx, s, l, list[1].ID(), list[2].ID()); err != nil {
		return err
	}
	if err := session.Close(); err != nil {
		return err
	}
	if err := crashCollect(ctx, s, l, small, list[1]); err != nil {
		return err
	}
	if err := s.Put(ctx, large, crashBlock(5000, 7)); err != nil {
		return err
	}
	l.ack(large, crashBlock(5000, 7))
	return nil
}

// crashPins pins two roots and gives the second up.
func crashPins(ctx context.Context, s *Store, l *ledger, stays, goes block.ID) error {
	if err := s.SetPin(ctx, Pin{Root: stays, Meta: make([]byte, 5000)}); err != nil {
		return err
	}
	l.pinned[stays] = true
	if err := s.SetPin(ctx, Pin{Root: goes}); err != nil {
		return err
	}
	return s.RemovePin(ctx, goes)
}

func (l *ledger) ack(blocks ...block.Block) {
	for _, b := range blocks {
		l.acked[b.ID()] = true
		delete(l.freed, b.ID())
	}
}

// crashCollect collects all but the pinned root and the given blocks.
func crashCollect(ctx context.Context, s *Store, l *ledger, keep ...block.Block) error {
	kept := map[block.ID]bool{}
	for id := range l.pinned {
		kept[id] = true
	}
	for _, b := range keep {
		kept[b.ID()] = true
	}
	for id := range l.acked {
		if !kept[id] {
			delete(l.acked, id)
			l.freed[id] = true
		}
	}
	_, err := s.GC(ctx, GCOptions{Mark: func(_ context.Context, _ Pin, yield func(block.ID) bool) error {
		for id := range kept {
			yield(id)
		}
		return nil
	}})
	return err
}

// checkPromises opens the store after a crash and compares.
func checkPromises(ctx context.Context, w *world, l *ledger) error {
	s, err := w.open()
	if err != nil {
		return fmt.Errorf("open after the crash: %w", err)
	}
	defer func() { _ = s.Close() }() // closed below, unless something is wrong
	for id := range l.acked {
		if _, err := s.Get(ctx, id, nil); err != nil {
			return fmt.Errorf("an acknowledged block: %w", err)
		}
	}
	for id := range l.freed {
		if _, err := s.Get(ctx, id, nil); err != nil && !errors.Is(err, block.ErrNotFound) {
			return fmt.Errorf("a collected block: %w", err)
		}
	}
	pins := 0
	for pin, err := range s.Pins(ctx) {
		if err != nil {
			return err
		}
		if l.pinned[pin.Root] {
			pins++
		}
	}
	if pins != len(l.pinned) {
		return fmt.Errorf("%d of %d pins are there", pins, len(l.pinned))
	}
	report, err := s.Fsck(ctx, FsckOptions{ReadData: true})
	if err != nil || !report.OK() {
		return fmt.Errorf("fsck: %+v, %w", report, err)
	}
	// The store goes on working, and the index can be made anew from the packs.
	again := crashBlock(90<<10, 99)
	if err := s.Put(ctx, again); err != nil {
		return fmt.Errorf("put after the crash: %w", err)
	}
	l.acked[again.ID()] = true
	if err := s.Close(); err != nil {
		return err
	}
	return checkRebuild(ctx, w, l)
}

func checkRebuild(ctx context.Context, w *world, l *ledger) error {
	w.db = memkv.New(w.fs)
	if _, err := w.open(); !errors.Is(err, ErrIndex) {
		return fmt.Errorf("open without an index: %w", err)
	}
	_, err := Rebuild(ctx, "/store", crashConfig(), nil, w.options())
	if err != nil {
		return err
	}
	s, err := w.open()
	if err != nil {
		return fmt.Errorf("open after the rebuild: %w", err)
	}
	for id := range l.acked {
		if _, err := s.Get(ctx, id, nil); err != nil {
			return fmt.Errorf("after the rebuild: %w", err)
		}
	}
	return s.Close()
}

func newLedger() *ledger {
	return &ledger{map[block.ID]bool{}, map[block.ID]bool{}, map[block.ID]bool{}}
}

// TestCrashAtEveryOperation loses the power at each write, sync, rename and index
// change of a workload in turn.
func TestCrashAtEveryOperation(t *testing.T) {
	w := newWorld(0)
	if err := crashWork(t.Context(), w, newLedger()); err != nil {
		t.Fatal(err)
	}
	ops := w.fs.Ops()
	t.Logf("the workload takes %d operations", ops)
	outcomes, step := 2, 1 // of each crash
	if testing.Short() {
		outcomes, step = 1, 3
	}
	for i := 0; i < ops*outcomes; i += step {
		n := i/outcomes + 1
		w, l := newWorld(uint64(i)), newLedger()
		w.fs.CrashAt(n)
		if err := crashWork(t.Context(), w, l); !errors.Is(err, faultfs.ErrCrashed) {
			t.Fatalf("operation %d: the workload ended with %v", n, err)
		}
		if err := checkPromises(t.Context(), w.reboot(), l); err != nil {
			t.Errorf("crash at operation %d: %v", n, err)
		}
	}
}

// TestCrashWhileConverting loses the power at each operation with which a store of
// version 1 is opened for the first time: its pins are there, converted or not.
func TestCrashWhileConverting(t *testing.T) {
	old, err := os.ReadFile(filepath.Join("testdata", "pins-1"))
	if err != nil {
		t.Fatal(err)
	}
	ofVersion1 := func(seed uint64) (w *world, id string) {
		w = newWorld(seed)
		s, err := w.open()
		if err != nil {
			t.Fatal(err)
		}
		id, _, err = readVersion(w.fs, "/store")
		err = errors.Join(err, s.Put(t.Context(), crashBlock(100, 1)), s.Close(),
			writeVersion(w.fs, "/store", 1, id), w.fs.WriteFile("/store/pins", old, 0o600))
		b := &kv.Batch{}
		b.Delete(keyPins)
		if err := errors.Join(err, w.db.Apply(b), w.db.Sync()); err != nil {
			t.Fatal(err)
		}
		return w, id
	}
	w, _ := ofVersion1(0)
	before := w.fs.Ops()
	if _, err := w.open(); err != nil {
		t.Fatal(err)
	}
	for n := range 2 * (w.fs.Ops() - before) {
		w, id := ofVersion1(uint64(n))
		w.fs.CrashAt(before + n/2 + 1)
		if _, err := w.open(); !errors.Is(err, faultfs.ErrCrashed) {
			t.Fatalf("operation %d: %v", n/2+1, err)
		}
		w = w.reboot()
		s, err := w.open()
		if err != nil {
			t.Fatalf("crash at operation %d: %v", n/2+1, err)
		}
		pins := s.pins.len()
		now, version, err := readVersion(w.fs, "/store")
		if pins != 2 || s.PinsDamage() != nil || now != id || version != formatVersion || err != nil {
			t.Errorf("crash at operation %d: %d pins, %v, %q of version %d, %v", n/2+1, pins, s.PinsDamage(), now, version, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// fillUp takes all space that is free on the disk.
func fillUp(t *testing.T, w *world) {
	t.Helper()
	const much = 1 << 40
	w.fs.SetCapacity(much)
	free, err := w.fs.Free("/")
	if err != nil {
		t.Fatal(err)
	}
	w.fs.SetCapacity(much - free)
}

// TestRemovePinOnFullDisk gives pins up on a disk without a free byte.
func TestRemovePinOnFullDisk(t *testing.T) {
	w := newWorld(1)
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := s.SetPin(t.Context(), Pin{Root: crashBlock(100, byte(i)).ID()}); err != nil {
			t.Fatal(err)
		}
	}
	fillUp(t, w)
	for i := range 128 {
		if err := s.RemovePin(t.Context(), crashBlock(100, byte(i)).ID()); err != nil {
			t.Fatalf("removal %d: %v", i, err)
		}
	}
	if err := s.SetPin(t.Context(), Pin{Root: crashBlock(100, 1).ID()}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a pin was set on a full disk: %v", err)
	}
	w.fs.PowerOff()
	w = w.reboot()
	again, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	if n := again.pins.len(); n != 72 || again.PinsDamage() != nil {
		t.Errorf("%d pins, want 72; %v", n, again.PinsDamage())
	}
	if err := errors.Join(s.Close(), again.Close()); err != nil && !errors.Is(err, faultfs.ErrCrashed) {
		t.Error(err)
	}
}
