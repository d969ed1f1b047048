package blockstore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/blockstore/storetest"
)

// pinned makes a store with three blocks, of which two are pinned, and closes it.
func pinned(t *testing.T, dir string) []block.Block {
	t.Helper()
	s := open(t, dir)
	blocks := storetest.Blocks(1, 1000, 2000, 3000)
	if err := s.Put(t.Context(), blocks...); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks[:2] {
		pin := storetest.PinOf(b)
		pin.Name = "name of " + b.ID().String()
		if err := s.SetPin(t.Context(), pin); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return blocks
}

func roots(t *testing.T, s *blockstore.Store) map[block.ID]string {
	t.Helper()
	all := map[block.ID]string{}
	for pin, err := range s.Pins(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all[pin.Root] = pin.Name
	}
	return all
}

// collectNothing checks that a collection refuses, and says what to do.
func collectNothing(t *testing.T, s *blockstore.Store) {
	t.Helper()
	for _, dry := range []bool{true, false} {
		_, err := s.GC(t.Context(), blockstore.GCOptions{DryRun: dry, Mark: func(context.Context, blockstore.Pin, func(block.ID) bool) error { return nil }})
		if !errors.Is(err, blockstore.ErrPins) || !strings.Contains(err.Error(), "fsck") {
			t.Errorf("a collection without the pins: %v", err)
		}
	}
}

// TestLostPins ruins the pins in all ways: the store opens, serves, and keeps what
// it holds, also when it is used and opened again, until the pins are rebuilt.
func TestLostPins(t *testing.T) {
	for _, tc := range []struct {
		name string
		ruin func(t *testing.T, path string, older []byte)
		left int // of two pins
	}{
		{"missing", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"empty", func(t *testing.T, path string, _ []byte) { t.Helper(); rewrite(t, path, nil) }, 0},
		{"something else", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			rewrite(t, path, bytes.Repeat([]byte("nonsense"), 4096))
		}, 0},
		{"another store's", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			other := t.TempDir()
			pinned(t, other)
			rewrite(t, path, read(t, filepath.Join(other, "pins")))
		}, 0},
		{"without the header", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			data := read(t, path)
			clear(data[:4096])
			rewrite(t, path, data)
		}, 2},
		{"a damaged pin", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			data := read(t, path)
			data[bytes.Index(data, []byte("name of"))] ^= 1
			rewrite(t, path, data)
		}, 1},
		{"an older copy", func(t *testing.T, path string, older []byte) { t.Helper(); rewrite(t, path, older) }, 0},
		{"cut off", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			rewrite(t, path, read(t, path)[:2*4096])
		}, 1},
		{"zeros at the end", func(t *testing.T, path string, _ []byte) {
			t.Helper()
			data := read(t, path)
			clear(data[2*4096:])
			rewrite(t, path, data)
		}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "pins")
			if err := open(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			older := read(t, path)
			blocks := pinned(t, dir)
			tc.ruin(t, path, older)
			s := open(t, dir)
			if err := s.PinsDamage(); !errors.Is(err, blockstore.ErrPins) || !strings.Contains(err.Error(), path) {
				t.Errorf("PinsDamage: %v", err)
			}
			if got := roots(t, s); len(got) != tc.left {
				t.Errorf("%d pins are left, want %d", len(got), tc.left)
			}
			storetest.CheckHeld(t, s, blocks...)
			collectNothing(t, s)
			if rep, err := s.Fsck(t.Context(), blockstore.FsckOptions{Repair: true}); err != nil || rep.OK() || !rep.PinsDamaged || len(rep.Findings) != 1 {
				t.Errorf("%+v, %v", rep, err)
			}
			// Using the store makes nothing look sound.
			late := storetest.Block(4000, 9)
			if err := errors.Join(s.Put(t.Context(), late), s.SetPin(t.Context(), storetest.PinOf(late)), s.Close()); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
			collectNothing(t, s)
			if got := roots(t, s); len(got) != tc.left+1 {
				t.Errorf("%d pins are left, want %d", len(got), tc.left+1)
			}
			if err := errors.Join(s.RemovePin(t.Context(), late.ID()), s.Close()); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
			collectNothing(t, s)
			rebuilt(t, s, blocks)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
			defer s.Close()
			if err := s.PinsDamage(); err != nil {
				t.Error(err)
			}
			if res := storetest.Collect(t, s, false); res.Pins != 2 || res.SweptBlocks != 2 {
				t.Errorf("%+v", res)
			}
			storetest.CheckHeld(t, s, blocks[:2]...)
		})
	}
}

// rebuilt rebuilds the pins of the first two blocks. Those that are there stay as
// they are.
func rebuilt(t *testing.T, s *blockstore.Store, blocks []block.Block) {
	t.Helper()
	before := roots(t, s)
	var found []blockstore.Pin
	for _, b := range blocks[:2] {
		found = append(found, blockstore.Pin{Root: b.ID(), Name: "found", Meta: b.ID().Bytes()})
	}
	if err := s.RebuildPins(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	after := roots(t, s)
	if len(after) != 2 {
		t.Errorf("%d pins", len(after))
	}
	for root, name := range after {
		want := "found"
		if old, ok := before[root]; ok {
			want = old
		}
		if name != want {
			t.Errorf("pin %q, want %q", name, want)
		}
	}
	if rep, err := s.Fsck(t.Context(), blockstore.FsckOptions{}); err != nil || !rep.OK() {
		t.Errorf("%+v, %v", rep, err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func rewrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedPinsAreKept: what a person might still read of a damaged file is not
// overwritten.
func TestDamagedPinsAreKept(t *testing.T) {
	dir := t.TempDir()
	blocks := pinned(t, dir)
	path := filepath.Join(dir, "pins")
	damaged := read(t, path)
	damaged[0] ^= 1
	rewrite(t, path, damaged)
	s := open(t, dir)
	rebuilt(t, s, blocks)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path+".damaged-1"); !bytes.Equal(got, damaged) {
		t.Error("the damaged file is not there any more")
	}
}

// TestPinsRotWhileOpen: the pins in memory are whole, and fsck writes them anew.
func TestPinsRotWhileOpen(t *testing.T) {
	dir := t.TempDir()
	pinned(t, dir)
	s := open(t, dir)
	data := read(t, filepath.Join(dir, "pins"))
	data[bytes.Index(data, []byte("name of"))] ^= 1
	rewrite(t, filepath.Join(dir, "pins"), data)
	if rep, err := s.Fsck(t.Context(), blockstore.FsckOptions{}); err != nil || rep.OK() || !rep.PinsDamaged {
		t.Errorf("%+v, %v", rep, err)
	}
	if rep, err := s.Fsck(t.Context(), blockstore.FsckOptions{Repair: true}); err != nil || !rep.OK() || len(rep.Findings) != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	if got := roots(t, s); len(got) != 2 || s.PinsDamage() != nil {
		t.Errorf("%v, %v", got, s.PinsDamage())
	}
}

// TestPinsSurviveWithoutIndexAndVersion: the identity of a store that has lost its
// version file is the one that its pins name.
func TestPinsSurviveWithoutIndexAndVersion(t *testing.T) {
	dir := t.TempDir()
	pinned(t, dir)
	if err := errors.Join(os.Remove(filepath.Join(dir, "version")), os.RemoveAll(filepath.Join(dir, "index"))); err != nil {
		t.Fatal(err)
	}
	if _, err := blockstore.Rebuild(t.Context(), dir, testConfig(), nil, blockstore.Options{}); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	defer s.Close()
	if got := roots(t, s); len(got) != 2 || s.PinsDamage() != nil {
		t.Errorf("%v, %v", got, s.PinsDamage())
	}
}

// TestOldPins opens a store of version 1, which testdata/pins-1 is the pins of: two
// pins, the second partial.
func TestOldPins(t *testing.T) {
	old := read(t, filepath.Join("testdata", "pins-1"))
	ofVersion1 := func(t *testing.T, dir string) {
		t.Helper()
		pinned(t, dir)
		id := strings.Fields(string(read(t, filepath.Join(dir, "version"))))[2]
		rewrite(t, filepath.Join(dir, "version"), []byte("decube-blockstore 1 "+id+"\n"))
		if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
			t.Fatal(err)
		}
		if _, err := blockstore.Rebuild(t.Context(), dir, testConfig(), nil, blockstore.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("sound", func(t *testing.T) {
		dir := t.TempDir()
		ofVersion1(t, dir)
		rewrite(t, filepath.Join(dir, "pins"), old)
		for range 2 { // as it was, and converted
			s := open(t, dir)
			got := listOf(t, s)
			if len(got) != 2 || got[0].Name != "first" || string(got[0].Meta) != "meta" || got[0].Partial || !got[1].Partial ||
				!got[0].Created.Equal(time.Unix(1_700_000_000, 5)) || s.PinsDamage() != nil {
				t.Errorf("%+v, %v", got, s.PinsDamage())
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if v := string(read(t, filepath.Join(dir, "version"))); !strings.HasPrefix(v, "decube-blockstore 3 ") {
			t.Errorf("version file %q", v)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		dir := t.TempDir()
		ofVersion1(t, dir)
		data := bytes.Clone(old)
		data[len(data)-1] ^= 1
		rewrite(t, filepath.Join(dir, "pins"), data)
		s := open(t, dir)
		defer s.Close()
		collectNothing(t, s)
	})
	t.Run("missing", func(t *testing.T) {
		dir := t.TempDir()
		ofVersion1(t, dir)
		if err := os.Remove(filepath.Join(dir, "pins")); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		defer s.Close()
		collectNothing(t, s)
	})
	t.Run("of an empty store", func(t *testing.T) {
		dir := t.TempDir()
		if err := open(t, dir).Close(); err != nil {
			t.Fatal(err)
		}
		id := strings.Fields(string(read(t, filepath.Join(dir, "version"))))[2]
		rewrite(t, filepath.Join(dir, "version"), []byte("decube-blockstore 1 "+id+"\n"))
		if err := os.Remove(filepath.Join(dir, "pins")); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		defer s.Close()
		if err := s.PinsDamage(); err != nil {
			t.Error(err)
		}
	})
}

func listOf(t *testing.T, s *blockstore.Store) (list []blockstore.Pin) {
	t.Helper()
	for pin, err := range s.Pins(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pin)
	}
	return list
}
