package wal

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/durable/faultfs"
)

const dir = "/wal"

// small returns options of a log whose segments are soon full.
func small(fsys durable.FS) Options {
	return Options{FS: fsys, Dir: dir, SegmentSize: 5 * blockSize, Segments: 3, MaxRecord: 2 * blockSize}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Create(o)
	must(t, err)
	return l
}

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	must(t, err)
	return l
}

// content is the data of the record of an index, of some size.
func content(index uint64, size int) []byte {
	text := fmt.Appendf(nil, "record %d, ", index)
	return bytes.Repeat(text, size/len(text)+1)[:size]
}

// add appends and syncs records of given sizes.
func add(t *testing.T, l *Log, sizes ...int) {
	t.Helper()
	for _, size := range sizes {
		want := l.Next()
		if got, err := l.Append(byte(want), content(want, size)); err != nil || got != want {
			t.Fatalf("Append: %d, %v; want %d", got, err, want)
		}
	}
	must(t, l.Sync())
}

// replayed returns the records, after checking their indexes and content.
func replayed(l *Log) ([]Record, error) {
	var out []Record
	for r, err := range l.Replay() {
		if err != nil {
			return out, err
		}
		if r.Kind != byte(r.Index) || !bytes.Equal(r.Data, content(r.Index, len(r.Data))) {
			return out, fmt.Errorf("record %d has kind %d and data %.40q", r.Index, r.Kind, r.Data)
		}
		if k := len(out); k > 0 && out[k-1].Index+1 != r.Index {
			return out, fmt.Errorf("record %d follows %d", r.Index, out[k-1].Index)
		}
		out = append(out, r)
	}
	return out, nil
}

// expect checks that a log replays the records of all indexes in [first, next).
func expect(t *testing.T, l *Log, first, next uint64) {
	t.Helper()
	got, err := replayed(l)
	must(t, err)
	from := first
	if len(got) > 0 {
		from = got[0].Index
	}
	if uint64(len(got)) != next-first || from != first {
		t.Fatalf("replayed %d records from %d, want those from %d to %d", len(got), from, first, next)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"faultfs", small(faultfs.New(1))},
		{"OS", Options{Dir: filepath.Join(t.TempDir(), "a", "wal"), SegmentSize: 1 << 20, Segments: 2, MaxRecord: 600_000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := create(t, c.o)
			expect(t, l, 1, 1)
			add(t, l, 0, 1, 491, 492, 493, 3900)
			add(t, l, c.o.MaxRecord, 0)
			add(t, l, c.o.MaxRecord, c.o.MaxRecord, c.o.MaxRecord-1)
			must(t, l.Sync()) // nothing to do
			expect(t, l, 1, 12)
			l2 := open(t, c.o) // as after a crash
			if got, want := l2.Recovery(), (Recovery{First: 1, Next: 12}); got != want {
				t.Errorf("recovery %+v, want %+v", got, want)
			}
			expect(t, l2, 1, 12)
			add(t, l2, 7)
			must(t, l2.Close())
			l3 := open(t, c.o)
			if got, want := l3.Recovery(), (Recovery{First: 1, Next: 13, Closed: true}); got != want {
				t.Errorf("recovery %+v, want %+v", got, want)
			}
			expect(t, l3, 1, 13)
			must(t, l3.Close())
			must(t, l.release())
		})
	}
}

func TestBirth(t *testing.T) {
	fsys := faultfs.New(1)
	o := small(fsys)
	if _, err := Open(o); !errors.Is(err, ErrNotExist) {
		t.Errorf("Open without a directory: %v", err)
	}
	must(t, fsys.MkdirAll(dir, 0o700))
	if _, err := Open(o); !errors.Is(err, ErrNotExist) {
		t.Errorf("Open of an empty directory: %v", err)
	}
	l := create(t, o)
	if _, err := Create(o); !errors.Is(err, ErrExist) {
		t.Errorf("Create where a log is: %v", err)
	}
	add(t, l, 10)
	must(t, l.Close())
	must(t, fsys.Remove(filepath.Join(dir, manifestName)))
	if _, err := Open(o); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open without the manifest: %v", err)
	}
	if _, err := Create(o); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Create over records: %v", err)
	}
}

func TestTruncateRecyclesSegments(t *testing.T) {
	fsys := faultfs.New(1)
	l := create(t, small(fsys))
	for round := range 50 {
		add(t, l, 3000, 3000) // 2 blocks
		must(t, l.TruncateBefore(l.Next()-1))
		if n, err := listSegments(fsys, dir); err != nil || len(n) != 3 {
			t.Fatalf("round %d: segments %v, %v", round, n, err)
		}
	}
	first := l.live[0].first
	l = open(t, small(fsys))
	got, err := replayed(l)
	must(t, err)
	if len(got) < 2 || len(got) > 8 || got[len(got)-1].Index != 100 || l.live[0].first != first {
		t.Errorf("%d records, groups from %d, want those from %d", len(got), l.live[0].first, first)
	}
	if err := l.TruncateBefore(102); !errors.Is(err, ErrIndex) {
		t.Errorf("TruncateBefore of the future: %v", err)
	}
	must(t, l.TruncateBefore(0))
}

// Once there is a segment to use again, a Sync is one write and one flush, also
// where a segment begins, and a TruncateBefore that frees some is one more of each.
func TestSyncIsOneWriteAndOneFlush(t *testing.T) {
	fsys := faultfs.New(1)
	l := create(t, small(fsys))
	starts := 0
	for round := range 200 {
		before, segment := fsys.Ops(), l.spare[0]
		add(t, l, round*17%4000, 10)
		if got := fsys.Ops() - before; got != 2 {
			t.Fatalf("round %d: %d operations", round, got)
		}
		if l.live[len(l.live)-1] == segment {
			starts++
		}
		before, live := fsys.Ops(), len(l.live)
		must(t, l.TruncateBefore(l.Next()))
		want := 0
		if len(l.live) < live {
			want = 2
		}
		if got := fsys.Ops() - before; got != want {
			t.Fatalf("round %d: %d operations to truncate, want %d", round, got, want)
		}
	}
	if starts < 50 {
		t.Errorf("%d segments were begun", starts)
	}
}

// Two attempts to write one group can leave a mixture of sectors each of which is
// sound.
func TestMixedAttempts(t *testing.T) {
	sums := newChecksummer(logID{1}, 2)
	attempt := func(fill byte) []byte {
		g := builder{buf: make([]byte, 2*blockSize)}
		g.reset()
		g.add(1, bytes.Repeat([]byte{fill}, 5000))
		b, _ := g.seal(header{group: 5, floor: 5, index: 9}, sums, 0)
		return b
	}
	a, b := attempt('a'), attempt('b')
	for sector := range len(a) / sectorSize {
		mixed := bytes.Clone(a)
		copy(mixed[sector*sectorSize:], b[sector*sectorSize:(sector+1)*sectorSize])
		_, ok := image{mixed, sums}.groupAt(0, 5, nil)
		if padding := sector*sectorData >= headerSize+recordHeader+5000; ok != padding {
			t.Errorf("sector %d of another attempt: whole %v", sector, ok)
		}
	}
}

// A log that nobody truncates grows, and shrinks again when it is.
func TestGrowAndShrink(t *testing.T) {
	fsys := faultfs.New(1)
	l := create(t, small(fsys))
	for range 30 {
		add(t, l, 5000)
	}
	high := len(l.numbers())
	if high < 15 {
		t.Fatalf("%d segments", high)
	}
	expect(t, l, 1, 31)
	for range 200 {
		add(t, l, 5000)
		must(t, l.TruncateBefore(l.Next()))
	}
	onDisk, err := listSegments(fsys, dir)
	must(t, err)
	if len(onDisk) != 3 || !slices.Equal(onDisk, l.numbers()) {
		t.Errorf("segments %v on the disk, %v known", onDisk, l.numbers())
	}
	l = open(t, small(fsys))
	if r := l.Recovery(); r.Next != 231 || r.First < 227 {
		t.Errorf("%+v", r)
	}
}

func TestBounds(t *testing.T) {
	o := small(faultfs.New(1))
	l := create(t, o)
	if _, err := l.Append(0, make([]byte, o.MaxRecord+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Append of too much: %v", err)
	}
	add(t, l, 1)
	must(t, l.Close())
	must(t, l.Close())
	if _, err := l.Append(0, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close: %v", err)
	}
	if _, err := replayed(l); !errors.Is(err, ErrClosed) {
		t.Errorf("Replay after Close: %v", err)
	}
	for _, err := range []error{l.Sync(), l.TruncateBefore(0)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	o.MaxRecord = 5 * blockSize
	o.SegmentSize = 8 * blockSize
	if _, err := Open(o); !errors.Is(err, ErrOptions) {
		t.Errorf("Open with records larger than the log's segments: %v", err)
	}
	for i, bad := range []Options{
		{},
		{Dir: "x", SegmentSize: 100, Segments: 2, MaxRecord: 1},
		{Dir: "x", SegmentSize: 4097, Segments: 2, MaxRecord: 1},
		{Dir: "x", SegmentSize: 2 << 30, Segments: 2, MaxRecord: 1},
		{Dir: "x", SegmentSize: 4096, Segments: 1, MaxRecord: 1},
		{Dir: "x", SegmentSize: 4096, Segments: 2, MaxRecord: 0},
		{Dir: "x", SegmentSize: 4096, Segments: 2, MaxRecord: 4000},
	} {
		if err := bad.Validate(); !errors.Is(err, ErrOptions) {
			t.Errorf("case %d: %v", i, err)
		}
		if _, err := Create(bad); !errors.Is(err, ErrOptions) {
			t.Errorf("case %d: Create: %v", i, err)
		}
	}
	must(t, Default("x").Validate())
}
