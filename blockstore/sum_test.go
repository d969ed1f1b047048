package blockstore

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/pack"
	"github.com/decube/decube/internal/durable/faultfs"
)

func (w *world) mustOpen(t *testing.T) *Store {
	t.Helper()
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// placeOf returns where a block is, and the name of the pack there.
func placeOf(t *testing.T, s *Store, b block.Block) (pack.Loc, string) {
	t.Helper()
	e, err := s.ix.lookup(b.ID().Digest())
	if err != nil {
		t.Fatal(err)
	}
	return e.loc, "/store/packs/" + packName(e.loc.Pack)
}

func packName(id uint32) string {
	const digits = "0123456789abcdef"
	name := []byte("00000000.pack")
	for i := 7; id > 0; i-- {
		name[i] = digits[id%16]
		id /= 16
	}
	return string(name)
}

// checkBoth reads blocks both ways.
func checkBoth(t *testing.T, s *Store, blocks ...block.Block) {
	t.Helper()
	for _, b := range blocks {
		got, err := s.Get(t.Context(), b.ID(), nil)
		if err != nil || !bytes.Equal(got.Data(), b.Data()) {
			t.Errorf("Get of a block of %d bytes: %v", b.Len(), err)
		}
		data, err := s.GetSummed(t.Context(), b.ID(), nil)
		if err != nil || !bytes.Equal(data, b.Data()) {
			t.Errorf("GetSummed of a block of %d bytes: %v", b.Len(), err)
		}
	}
}

func checkFsck(t *testing.T, s *Store, opts FsckOptions, blocks, damaged int64) {
	t.Helper()
	r, err := s.Fsck(t.Context(), opts)
	if err != nil || r.Blocks != blocks || r.Damaged != damaged || r.Quarantined != 0 || r.OK() != (damaged == 0) {
		t.Errorf("fsck: %+v, %v", r, err)
	}
}

// TestRotIsFoundWhenServing flips bits of blocks' bytes: they go into quarantine as
// with Get, and are healed by being stored again.
func TestRotIsFoundWhenServing(t *testing.T) {
	w := newWorld(1)
	s := w.mustOpen(t)
	blocks := []block.Block{crashBlock(1, 1), crashBlock(5000, 2), crashBlock(1<<20, 3)}
	if err := s.Put(t.Context(), blocks...); err != nil {
		t.Fatal(err)
	}
	for i, b := range blocks {
		l, name := placeOf(t, s, b)
		if err := w.fs.Flip(name, l.End()-1); err != nil {
			t.Fatal(err)
		}
		var corrupt *CorruptError
		if _, err := s.GetSummed(t.Context(), b.ID(), nil); !errors.As(err, &corrupt) || corrupt.ID != b.ID() ||
			!errors.Is(err, block.ErrMismatch) || !errors.Is(err, pack.ErrChecksum) {
			t.Errorf("damaged bytes: %v", err)
		}
		if _, err := s.GetSummed(t.Context(), b.ID(), nil); !errors.Is(err, block.ErrNotFound) {
			t.Errorf("again: %v", err)
		}
		n := 0
		for q, err := range s.Quarantined(t.Context()) {
			if n++; err != nil || q.Reason == "" {
				t.Errorf("%+v, %v", q, err)
			}
		}
		if n != i+1 {
			t.Errorf("%d blocks in quarantine, want %d", n, i+1)
		}
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	checkBoth(t, s, blocks...)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestDamagedRecordsOfWholeBlocks damages headers: the bytes are served all the same,
// and have a new record afterwards, also after a crash, a collection and a rebuild.
func TestDamagedRecordsOfWholeBlocks(t *testing.T) {
	for name, heal := range map[string]func(t *testing.T, s *Store, b block.Block){
		"served": func(t *testing.T, s *Store, b block.Block) {
			t.Helper()
			if data, err := s.GetSummed(t.Context(), b.ID(), nil); err != nil || !bytes.Equal(data, b.Data()) {
				t.Errorf("%v", err)
			}
		},
		"repaired": func(t *testing.T, s *Store, _ block.Block) {
			t.Helper()
			checkFsck(t, s, FsckOptions{Repair: true}, 2, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for field := range int64(pack.HeaderSize) {
				w := newWorld(uint64(field))
				s := w.mustOpen(t)
				blocks := []block.Block{crashBlock(70<<10, 1), crashBlock(5000, 2)}
				if err := s.Put(t.Context(), blocks...); err != nil {
					t.Fatal(err)
				}
				b := blocks[field%2]
				before, file := placeOf(t, s, b)
				if err := w.fs.Flip(file, before.Off+field); err != nil {
					t.Fatal(err)
				}
				heal(t, s, b)
				w.fs.PowerOff()
				_ = s.Close() // the power is off
				w = w.reboot()
				s = w.mustOpen(t)
				if after, _ := placeOf(t, s, b); after == before {
					t.Errorf("byte %d: the block is where it was", field)
				}
				checkFsck(t, s, FsckOptions{ReadData: true}, 2, 0)
				l := newLedger()
				l.ack(blocks...)
				l.pinned[blocks[0].ID()] = true
				if err := s.SetPin(t.Context(), Pin{Root: blocks[0].ID()}); err != nil {
					t.Fatal(err)
				}
				if err := crashCollect(t.Context(), s, l, blocks...); err != nil {
					t.Error(err)
				}
				checkBoth(t, s, blocks...)
				if st, err := s.Stat(t.Context()); err != nil || st.Blocks != 2 {
					t.Errorf("%d blocks are counted, %v", st.Blocks, err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if err := checkPromises(t.Context(), w, l); err != nil {
					t.Errorf("byte %d: %v", field, err)
				}
			}
		})
	}
}

// TestCrashWhileRelocating loses the power, or has the disk fail, at each operation
// of storing a block anew: it is there, wherever that is.
func TestCrashWhileRelocating(t *testing.T) {
	damaged := func(seed uint64) (*world, *Store, block.Block) {
		w := newWorld(seed)
		s := w.mustOpen(t)
		b := crashBlock(70<<10, 1)
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		l, name := placeOf(t, s, b)
		if err := w.fs.Flip(name, l.Off+20); err != nil {
			t.Fatal(err)
		}
		return w, s, b
	}
	w, s, b := damaged(0)
	before := w.fs.Ops()
	if _, err := s.GetSummed(t.Context(), b.ID(), nil); err != nil {
		t.Fatal(err)
	}
	ops := w.fs.Ops() - before
	if ops < 4 { // write, sync, index, sync of the index
		t.Fatalf("it takes %d operations", ops)
	}
	_ = s.Close() // only its goroutines count
	for i := range 4 * ops {
		w, s, b := damaged(uint64(i))
		n := w.fs.Ops() + i/4 + 1
		if i%4 == 3 {
			w.fs.FailAt(n, syscall.EIO)
		} else {
			w.fs.CrashAt(n)
		}
		if data, err := s.GetSummed(t.Context(), b.ID(), nil); err != nil || !bytes.Equal(data, b.Data()) {
			t.Errorf("operation %d: %v", n, err) // what is right is served, whatever else fails
		}
		w.fs.PowerOff()
		_ = s.Close() // the power is off
		w = w.reboot()
		again := w.mustOpen(t)
		checkBoth(t, again, b)
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

// version2 returns the world of a store whose records have no checksums: one that
// could not be converted, because its disk was full.
func version2(t *testing.T, blocks ...block.Block) *world {
	t.Helper()
	w := newWorld(1)
	s := w.mustOpen(t)
	id, _, err := readVersion(w.fs, "/store")
	if err := errors.Join(err, s.Close(), writeVersion(w.fs, "/store", newPinsVersion, id)); err != nil {
		t.Fatal(err)
	}
	w.fs.Inject(func(op faultfs.Op) error {
		if strings.Contains(op.Name, versionFile) {
			return syscall.ENOSPC
		}
		return nil
	})
	s = w.mustOpen(t)
	if err := s.Put(t.Context(), blocks...); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		l, _ := placeOf(t, s, b)
		if h, err := s.packs.ReadHeader(l); err != nil || h.Summed {
			t.Fatalf("%+v, %v", h, err)
		}
	}
	checkBoth(t, s, blocks...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.fs.Inject(nil)
	if _, v, err := readVersion(w.fs, "/store"); v != newPinsVersion || err != nil {
		t.Fatalf("version %d, %v", v, err)
	}
	return w
}

// TestStoreWithoutChecksums opens a store of version 2: it is one of version 3 from
// then on, whose old records are served after their hash, and lie beside new ones.
func TestStoreWithoutChecksums(t *testing.T) {
	old := []block.Block{crashBlock(100, 1), crashBlock(70<<10, 2), crashBlock(1<<20, 3)}
	w := version2(t, old...)
	s := w.mustOpen(t)
	if _, v, err := readVersion(w.fs, "/store"); v != formatVersion || err != nil {
		t.Errorf("version %d, %v", v, err)
	}
	fresh := []block.Block{crashBlock(100, 4), crashBlock(70<<10, 5), crashBlock(1<<20, 6)}
	if err := s.Put(t.Context(), fresh...); err != nil {
		t.Fatal(err)
	}
	a, _ := placeOf(t, s, old[0])
	b, _ := placeOf(t, s, fresh[0])
	if h, err := s.packs.ReadHeader(b); err != nil || !h.Summed || a.Pack != b.Pack {
		t.Errorf("%+v in pack %d, beside %d, %v", h, b.Pack, a.Pack, err)
	}
	checkBoth(t, s, append(old, fresh...)...)
	checkFsck(t, s, FsckOptions{ReadData: true}, 6, 0)
	l := newLedger()
	l.ack(append(old, fresh...)...)
	l.pinned[old[1].ID()] = true
	if err := s.SetPin(t.Context(), Pin{Root: old[1].ID()}); err != nil {
		t.Fatal(err)
	}
	if err := crashCollect(t.Context(), s, l, old[1], fresh[0], fresh[2]); err != nil {
		t.Error(err)
	}
	checkBoth(t, s, old[1], fresh[0], fresh[2])

	// Rot is found in both.
	for _, b := range []block.Block{old[1], fresh[2]} {
		l, name := placeOf(t, s, b)
		if err := w.fs.Flip(name, l.End()-5000); err != nil {
			t.Fatal(err)
		}
		if _, err := s.GetSummed(t.Context(), b.ID(), nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("damaged bytes: %v", err)
		}
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	w.fs.PowerOff()
	_ = s.Close() // the power is off
	if err := checkPromises(t.Context(), w.reboot(), l); err != nil {
		t.Error(err)
	}
}

// TestCrashWhileUpgrading loses the power at each operation with which a store of
// version 2 is opened and first written to: no record with a checksum is in a store
// that an older program would open.
func TestCrashWhileUpgrading(t *testing.T) {
	held, added := crashBlock(70<<10, 1), crashBlock(70<<10, 2)
	work := func(w *world) error {
		s, err := w.open()
		if err != nil {
			return err
		}
		return errors.Join(s.Put(t.Context(), added), s.Close())
	}
	w := version2(t, held)
	before := w.fs.Ops()
	if err := work(w); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * (w.fs.Ops() - before) {
		w := version2(t, held)
		n := before + i/2 + 1
		w.fs.CrashAt(n)
		if err := work(w); !errors.Is(err, faultfs.ErrCrashed) {
			t.Fatalf("operation %d: %v", n, err)
		}
		w = w.reboot()
		_, version, err := readVersion(w.fs, "/store")
		if err != nil {
			t.Fatal(err)
		}
		data, err := w.fs.ReadFile("/store/packs/" + packName(1))
		if err != nil {
			t.Fatal(err)
		}
		for ; len(data) >= pack.HeaderSize; data = data[64:] {
			if h, err := pack.DecodeHeader(data); err == nil && h.Summed && version < checksumsVersion {
				t.Errorf("operation %d: a record with a checksum in a store of version %d", n, version)
			}
		}
		l := newLedger()
		l.ack(held)
		if err := checkPromises(t.Context(), w, l); err != nil {
			t.Errorf("operation %d: %v", n, err)
		}
	}
}
