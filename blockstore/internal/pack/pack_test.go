package pack

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/durable/faultfs"
)

func FuzzHeader(f *testing.F) {
	f.Add(Header{Codec: block.Raw, Len: 5, Nonce: 7, Off: FirstRecord}.Append(nil))
	f.Add(Header{Codec: block.Raw, Len: 5, Nonce: 7, Off: FirstRecord, Summed: true, Sum: 9}.Append(nil))
	f.Add(make([]byte, HeaderSize))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := DecodeHeader(in)
		if err == nil && !bytes.Equal(h.Append(nil), in[:HeaderSize]) {
			t.Fatalf("% x became %+v", in, h)
		}
	})
}

// Every change of a single bit of a header is noticed.
func TestHeaderIsChecked(t *testing.T) {
	h := Header{Codec: block.DagCBOR, Len: 77, Digest: block.Digest{1, 2}, Nonce: 3, Off: 2 * FirstRecord}
	for _, h.Summed = range []bool{false, true} {
		good := h.Append(nil)
		if got, err := DecodeHeader(good); got != h || err != nil {
			t.Errorf("%+v became %+v, %v", h, got, err)
		}
		for bit := range HeaderSize * 8 {
			bad := slices.Clone(good)
			bad[bit/8] ^= 1 << (bit % 8)
			if _, err := DecodeHeader(bad); !errors.Is(err, ErrHeader) {
				t.Errorf("with a checksum of the block %v, bit %d: %v", h.Summed, bit, err)
			}
		}
	}
}

func testSet(t *testing.T, fs durable.FS, states map[uint32]State) *Set {
	t.Helper()
	if err := fs.MkdirAll("/packs", 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Config{
		FS: fs, Dir: "/packs", MaxSize: 8 << 20, Log: slog.New(slog.DiscardHandler),
		Room: func(_, want int64) (int64, error) { return want, nil }, Checksums: true,
	}, states)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testBlock(n int, seed byte) block.Block {
	return block.New(block.Raw, bytes.Repeat([]byte{seed, byte(n), 1}, n/3+1)[:n])
}

// write appends blocks and commits them.
func write(t *testing.T, a *Appender, sizes ...int) (locs []Loc, end int64) {
	t.Helper()
	for i, n := range sizes {
		l, err := a.Append(t.Context(), testBlock(n, byte(i)))
		if err != nil {
			t.Fatal(err)
		}
		locs = append(locs, l)
	}
	end = a.Cut()
	if err := a.Sync(); err != nil {
		t.Fatal(err)
	}
	a.Committed(end)
	return locs, end
}

func TestPlacesAndScan(t *testing.T) {
	s := testSet(t, faultfs.New(1), nil)
	a, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{0, 1, 64, 5000, 32 << 10, 100, 2 << 20, 2 << 20, 40 << 10}
	locs, end := write(t, a, sizes...)
	more, end2 := write(t, a, 10, 1<<20)
	sizes, locs = append(sizes, 10, 1<<20), append(locs, more...)
	if end%durable.Align != 0 || more[0].Off != end {
		t.Errorf("the first commit ends at %d, the second begins at %d", end, more[0].Off)
	}
	for i, l := range locs {
		if l.Off%64 != 0 || sizes[i] >= LargeRecord && l.Off%durable.Align != 0 {
			t.Errorf("block of %d bytes at %d", sizes[i], l.Off)
		}
		h, err := s.ReadHeader(l)
		if err != nil || int(h.Len) != sizes[i] {
			t.Errorf("header of %d bytes: %+v, %v", sizes[i], h, err)
		}
	}
	var found []Loc
	err = s.Scan(t.Context(), a.Pack(), 0, end2, func(r Record) error {
		if !r.OK {
			t.Errorf("a damaged record at %d", r.Loc.Off)
		}
		found = append(found, r.Loc)
		return nil
	})
	if err != nil || !slices.Equal(found, locs) {
		t.Errorf("scan: %v\n%v\n%v", err, found, locs)
	}
	if err := errors.Join(a.Release(false), s.Close()); err != nil {
		t.Error(err)
	}
}

// A block whose bytes are a copy of a pack does not give birth to records.
func TestRecordWithinRecord(t *testing.T) {
	fs := faultfs.New(1)
	s := testSet(t, fs, nil)
	a, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	_, end := write(t, a, 100, 40<<10)
	image, err := fs.ReadFile("/packs/" + fileName(a.Pack()))
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.Append(t.Context(), block.New(block.Raw, image[:end]))
	if err != nil {
		t.Fatal(err)
	}
	end = a.Cut()
	if err := a.Sync(); err != nil {
		t.Fatal(err)
	}
	// With its own header damaged, the record's inside is searched.
	if err := fs.Flip("/packs/"+fileName(a.Pack()), l.Off); err != nil {
		t.Fatal(err)
	}
	n := 0
	err = s.Scan(t.Context(), a.Pack(), 0, end, func(r Record) error {
		n++
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d records, want 2; %v", n, err)
	}
	if err := errors.Join(a.Release(false), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestPackFillsUpAndIsReused(t *testing.T) {
	fs := faultfs.New(1)
	s := testSet(t, fs, nil)
	a, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	write(t, a, 1<<20)
	if err := a.Release(false); err != nil {
		t.Fatal(err)
	}
	b, err := s.Lease()
	if err != nil || b.Pack() != a.Pack() {
		t.Fatalf("pack %d, %v", b.Pack(), err)
	}
	_, end := write(t, b, 2<<20, 2<<20, 2<<20)
	if _, err := b.Append(t.Context(), testBlock(1<<20, 9)); !errors.Is(err, ErrFull) {
		t.Errorf("append to a full pack: %v", err)
	}
	if err := b.Release(true); err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile("/packs/" + fileName(b.Pack())); err != nil || int64(len(got)) != end {
		t.Errorf("the sealed pack has %d bytes, want %d; %v", len(got), end, err)
	}
	c, err := s.Lease()
	if err != nil || c.Pack() == b.Pack() {
		t.Errorf("a sealed pack was leased again, %v", err)
	}
	if err := errors.Join(c.Release(false), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestAppendStopsWithItsContext(t *testing.T) {
	s := testSet(t, faultfs.New(1), nil)
	a, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	for range buffersPerAppender { // somebody has all the buffers
		<-a.tokens
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Append(ctx, testBlock(10, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for range buffersPerAppender {
		a.tokens <- struct{}{}
	}
	write(t, a, 10) // nothing was broken
	if err := errors.Join(a.Release(false), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestGaps(t *testing.T) {
	const page = durable.Align
	for _, tc := range []struct {
		name string
		live []Loc
		end  int64
		want []Extent
	}{
		{"nothing", nil, FirstRecord, nil},
		{"all dead", nil, 5 * page, []Extent{{page, 4 * page}}},
		{"less than a page", []Loc{{Off: page, Len: 10}, {Off: page + 2048, Len: 10}}, 2 * page, nil},
		{"between", []Loc{{Off: page, Len: 10}, {Off: 5*page + 64, Len: 10}}, 6 * page, []Extent{{2 * page, 3 * page}}},
		{"overlapping", []Loc{{Off: page, Len: 4 * page}, {Off: 2 * page, Len: 10}}, 8 * page, []Extent{{6 * page, 2 * page}}},
	} {
		if got := Gaps(tc.live, tc.end); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}
