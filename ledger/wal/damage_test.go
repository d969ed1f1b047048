package wal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
)

// disk is the content of a log's files by their names.
type disk map[string][]byte

// snapshot reads the files of a log.
func snapshot(tb testing.TB, fsys *faultfs.FS) disk {
	tb.Helper()
	names, err := fsys.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	d := disk{}
	for _, name := range names {
		if d[name], err = fsys.ReadFile(filepath.Join(dir, name)); err != nil {
			tb.Fatal(err)
		}
	}
	return d
}

// copy returns a deep copy.
func (d disk) copy() disk {
	out := disk{}
	for name, b := range d {
		out[name] = bytes.Clone(b)
	}
	return out
}

// segments returns the names of the segments.
func (d disk) segments() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range maps.Keys(d) {
			if strings.HasSuffix(name, segmentSuffix) && !yield(name) {
				return
			}
		}
	})
}

// mount makes a file system with the files, whose sizes are whole blocks.
func (d disk) mount(tb testing.TB) *faultfs.FS {
	tb.Helper()
	fsys := faultfs.New(1)
	err := fsys.MkdirAll(dir, 0o700)
	for _, name := range d.segments() {
		if err != nil {
			break
		}
		err = writeFile(fsys, filepath.Join(dir, name), d[name])
	}
	if m, ok := d[manifestName]; ok && err == nil {
		err = fsys.WriteFile(filepath.Join(dir, manifestName), m, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return fsys
}

// writeBlock writes the block of content at off to an existing file.
func writeBlock(fsys *faultfs.FS, name string, content []byte, off int) error {
	f, err := fsys.OpenWrite(name)
	if err != nil {
		return err
	}
	return withBuffer(blockSize, func(b []byte) error {
		copy(b, content[off:])
		_, err := f.WriteAt(b, int64(off))
		return errors.Join(err, f.Sync())
	})
}

func writeFile(fsys *faultfs.FS, name string, content []byte) error {
	f, err := fsys.Create(name, 0o600)
	if err != nil || len(content) == 0 {
		return err
	}
	err = withBuffer(len(content), func(b []byte) error {
		copy(b, content)
		_, err := f.WriteAt(b, 0)
		return err
	})
	return errors.Join(err, f.Sync())
}

// tiny returns options of a log of four blocks a segment.
func tiny(fsys *faultfs.FS) Options {
	return Options{FS: fsys, Dir: dir, SegmentSize: 4 * blockSize, Segments: 2, MaxRecord: 2000}
}

// worn returns a log whose segments have been used several times: two live ones,
// the last of which holds two groups and, behind them, older ones.
func worn(t *testing.T) (*faultfs.FS, *Log) {
	t.Helper()
	fsys := faultfs.New(1)
	l := create(t, tiny(fsys))
	for range 20 {
		add(t, l, 100, 1500)
		if l.last > 12 && len(l.live) == 2 && l.live[1].end == 2*blockSize {
			return fsys, l
		}
		must(t, l.TruncateBefore(l.Next()-3))
	}
	t.Fatal("it does not come about")
	return nil, nil
}

// The last group is cut after every byte, in new segments and in used ones: it is
// there or not, and the log goes on.
func TestTornAfterEveryByte(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*testing.T) (*faultfs.FS, *Log)
	}{
		{"zeros before", func(t *testing.T) (*faultfs.FS, *Log) {
			t.Helper()
			fsys := faultfs.New(1)
			l := create(t, small(fsys))
			add(t, l, 5, 700)
			return fsys, l
		}},
		{"older groups before", worn},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys, l := c.make(t)
			o, first, next := l.opts, l.live[0], l.Next()
			from := open(t, o).Recovery().First
			before := snapshot(t, fsys)
			add(t, l, 10, 1900)
			after := snapshot(t, fsys)
			s := l.live[len(l.live)-1]
			name := filepath.Base(s.name)
			if l.live[0] != first {
				t.Fatal("a segment was freed")
			}
			start := int(s.end) - blockSize
			whole, torn := 0, 0
			for cut := 0; cut <= blockSize; cut++ {
				if at := cut % sectorSize; testing.Short() && at%10 > 0 && at < sectorData {
					continue
				}
				d := before.copy()
				copy(d[name][start:start+cut], after[name][start:])
				o.FS = d.mount(t)
				got := open(t, o)
				want := next
				if got.Recovery().Next == next+2 {
					want, whole = next+2, whole+1
				} else if got.Recovery().Torn > 0 {
					torn++
				}
				expect(t, got, from, want)
				if again := open(t, o).Recovery(); again.Torn != 0 || again.Next != want {
					t.Fatalf("cut after %d bytes: %+v when opened again", cut, again)
				}
				if cut%100 == 0 || cut%sectorSize >= sectorData {
					add(t, got, 1)
					expect(t, open(t, o), from, want+1)
				}
			}
			if whole == 0 || torn == 0 || torn < blockSize-sectorSize && !testing.Short() {
				t.Errorf("the group was whole %d times and torn %d times", whole, torn)
			}
		})
	}
}

// Any flipped bit is noticed, or it makes no difference.
func TestFlippedBits(t *testing.T) {
	fsys, l := worn(t)
	next := l.Next()
	liveSegments := slices.Clone(l.live)
	last := liveSegments[len(liveSegments)-1]
	for _, closed := range []bool{false, true} {
		if closed {
			must(t, l.Close())
		}
		d := snapshot(t, fsys)
		sane := open(t, tiny(d.mount(t)))
		first := sane.Recovery().First
		detected, harmless := 0, 0
		fsys := d.mount(t)
		flip := func(name string, off, bit int) {
			path := filepath.Join(dir, name)
			d[name][off] ^= 1 << bit
			must(t, writeBlock(fsys, path, d[name], off/blockSize*blockSize))
			d[name][off] ^= 1 << bit
			l, err := Open(tiny(fsys))
			if errors.Is(err, ErrCorrupt) { // and nothing was changed
				detected++
				must(t, writeBlock(fsys, path, d[name], off/blockSize*blockSize))
				return
			}
			must(t, err)
			harmless++
			expect(t, l, first, next)
			must(t, l.release())
			fsys = d.mount(t)
		}
		live := map[string]int{}
		for _, s := range liveSegments {
			live[filepath.Base(s.name)] = int(s.end)
		}
		for _, name := range d.segments() {
			for off := range d[name] {
				switch at := off % sectorSize; {
				case off >= int(last.end)-blockSize && off < int(last.end) && (at < headerSize || at >= sectorData):
					for bit := range 8 {
						flip(name, off, bit)
					}
				case off < live[name] && !closed && !testing.Short(), off%32 == 0, at >= sectorData && off/sectorSize%3 == 0:
					flip(name, off, off%8)
				}
			}
		}
		t.Logf("closed %v: %d detected, %d harmless", closed, detected, harmless)
		// Harmless: the numbers at the ends of the sectors, and the old groups.
		if detected < 1000 || harmless == 0 {
			t.Error("that is not what the format should give")
		}
	}
}

func TestFlippedBitsOfTheManifest(t *testing.T) {
	fsys, _ := worn(t)
	d := snapshot(t, fsys)
	for i := range 8 * len(d[manifestName]) {
		d[manifestName][i/8] ^= 1 << (i % 8)
		if _, err := Open(tiny(d.mount(t))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bit %d: %v", i, err)
		}
		d[manifestName][i/8] ^= 1 << (i % 8)
	}
}

// Whole sectors that vanish are noticed too, but for those of a last group of
// which nothing else tells.
func TestLostSectors(t *testing.T) {
	fsys, l := worn(t)
	o := tiny(fsys)
	head, last := filepath.Base(l.live[0].name), filepath.Base(l.live[1].name)
	newest := int(l.live[1].end) - blockSize
	crashed := snapshot(t, fsys)
	must(t, l.Close())
	closed := snapshot(t, fsys)
	for _, c := range []struct {
		name   string
		from   disk
		change func(disk)
		file   string // that is named, or "" if nothing is noticed
	}{
		{"a sector in the first segment", crashed, func(d disk) { clear(d[head][3*sectorSize:][:sectorSize]) }, head},
		{"the first segment", crashed, func(d disk) { clear(d[head]) }, min(head, last)},
		{"the first segment swapped with the last", crashed, func(d disk) { d[head], d[last] = d[last], d[head] }, min(head, last)},
		{"a sector of the last group", crashed, func(d disk) { clear(d[last][newest:][:sectorSize]) }, ""},
		{"the last group", crashed, func(d disk) { clear(d[last][newest:][:blockSize]) }, ""},
		{"a sector of the last group, closed", closed, func(d disk) { clear(d[last][newest:][:sectorSize]) }, last},
		{"the last group, closed", closed, func(d disk) { clear(d[last][newest:][:blockSize]) }, last},
		{"a segment's end", crashed, func(d disk) { d[last] = d[last][:len(d[last])-blockSize] }, last},
		{"a segment", crashed, func(d disk) { delete(d, head) }, head},
		{"the manifest", crashed, func(d disk) { delete(d, manifestName) }, min(head, last)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.from.copy()
			c.change(d)
			o.FS = d.mount(t)
			before := snapshot(t, o.FS.(*faultfs.FS)) //nolint:errcheck // mount returns it
			_, err := Open(o)
			var e *CorruptError
			switch {
			case c.file == "" && err != nil:
				t.Errorf("noticed: %v", err)
			case c.file != "" && !errors.As(err, &e):
				t.Errorf("not noticed: %v", err)
			case c.file != "":
				if got := filepath.Base(e.File); got != c.file {
					t.Errorf("the error names %s, want %s: %v", got, c.file, err)
				}
				if after := snapshot(t, o.FS.(*faultfs.FS)); fmt.Sprint(after) != fmt.Sprint(before) { //nolint:errcheck // mount returns it
					t.Error("Open changed a damaged log")
				}
			}
		})
	}
}

// A manifest older than the segments beside it must not cost their records.
func TestOldManifest(t *testing.T) {
	fsys := faultfs.New(1)
	l := create(t, tiny(fsys))
	old := snapshot(t, fsys)[manifestName]
	for len(l.numbers()) == 2 {
		add(t, l, 1000)
	}
	d := snapshot(t, fsys)
	d[manifestName] = old
	var e *CorruptError
	if _, err := Open(tiny(d.mount(t))); !errors.As(err, &e) || filepath.Base(e.File) != "00000002.wal" {
		t.Errorf("Open: %v", err)
	}
}

// The error says where the damage is.
func TestDamageIsLocated(t *testing.T) {
	fsys := faultfs.New(1)
	l := create(t, small(fsys))
	add(t, l, 100)
	add(t, l, 5000)
	add(t, l, 100)
	for _, c := range []struct{ flipped, group int64 }{{0, 0}, {100, 0}, {blockSize + 3000, blockSize}, {2*blockSize + 40, blockSize}, {3*blockSize + 499, 3 * blockSize}} {
		must(t, fsys.Flip(l.live[0].name, c.flipped))
		var e *CorruptError
		if _, err := Open(small(fsys)); !errors.As(err, &e) || e.File != l.live[0].name || e.Offset/blockSize != c.group/blockSize {
			t.Errorf("bit at %d: Open: %v", c.flipped, err)
		}
		if _, err := replayed(l); !errors.As(err, &e) || e.Offset != c.group {
			t.Errorf("bit at %d: Replay: %v", c.flipped, err)
		}
		must(t, fsys.Flip(l.live[0].name, c.flipped))
	}
}

// A group that is sound in itself but continues another one than is there.
func TestBrokenChain(t *testing.T) {
	for _, c := range []struct {
		name        string
		prev, index uint64
		whole       bool
	}{
		{"the right one", 0, 0, true},
		{"another predecessor", 1, 0, false},
		{"a gap between the records", 0, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := faultfs.New(1)
			l := create(t, small(fsys))
			add(t, l, 10)
			l.sum += uint32(c.prev)
			l.next += c.index
			add(t, l, 10)
			_, err := Open(small(fsys))
			if c.whole != (err == nil) || err != nil && !errors.Is(err, ErrCorrupt) {
				t.Error(err)
			}
		})
	}
}
