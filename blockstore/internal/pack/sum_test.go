package pack

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/durable/faultfs"
)

// rotten is a file of which something else is read at one place.
type rotten struct {
	durable.File

	at   int64
	with []byte
}

// ReadAt reads the file with the other bytes in place.
func (r *rotten) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.File.ReadAt(p, off)
	from, to := max(off, r.at), min(off+int64(n), r.at+int64(len(r.with)))
	if from < to {
		copy(p[from-off:to-off], r.with[from-r.at:])
	}
	return n, err
}

// rot is a set with records of which tests make something else.
type rot struct {
	*testing.T

	s      *Set
	p      *file
	f      *rotten
	blocks []block.Block
	locs   []Loc
}

func newRot(t *testing.T, sizes ...int) *rot {
	t.Helper()
	s := testSet(t, faultfs.New(1), nil)
	t.Cleanup(func() { _ = s.Close() }) // the file's own end is what the other tests look at
	a, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	locs, _ := write(t, a, sizes...)
	if err := a.Release(false); err != nil {
		t.Fatal(err)
	}
	p, err := s.acquire(a.Pack())
	if err != nil {
		t.Fatal(err)
	}
	s.release(p)
	r := &rot{T: t, s: s, p: p, f: &rotten{File: p.read}, locs: locs}
	p.read = r.f
	for i, n := range sizes {
		r.blocks = append(r.blocks, testBlock(n, byte(i)))
	}
	return r
}

// read reads block i with other bytes at an offset of its record.
func (r *rot) read(i int, at int64, with []byte) error {
	r.f.at, r.f.with = r.locs[i].Off+at, with
	buf := make([]byte, r.locs[i].Len)
	summed, err := r.s.ReadSummed(r.locs[i], r.blocks[i].ID().Digest(), buf)
	if err == nil && (!summed || !bytes.Equal(buf, r.blocks[i].Data())) {
		r.Errorf("block of %d bytes, others at %d: they were returned, compared with a checksum: %v", len(buf), at, summed)
	}
	return err
}

// record returns the bytes of the record of block i.
func (r *rot) record(i int) []byte {
	r.Helper()
	all := make([]byte, RecordSize(r.blocks[i].Len()))
	if _, err := r.f.File.ReadAt(all, r.locs[i].Off); err != nil {
		r.Fatal(err)
	}
	return all
}

func isRot(err error) bool { return errors.Is(err, ErrHeader) || errors.Is(err, ErrChecksum) }

// Every change of a single bit of a record is noticed when the block is read.
func TestEveryFlippedBitIsFound(t *testing.T) {
	sizes := []int{0, 1, 64, 5000, 40 << 10, 2 << 20}
	r := newRot(t, sizes...)
	for i, n := range sizes {
		if err := r.read(i, 0, nil); err != nil {
			t.Fatalf("block of %d bytes: %v", n, err)
		}
		record := r.record(i)
		bits := len(record) * 8
		step := 1 + bits/50_000*997 // all bits of short ones, and some of the long ones
		for bit := 0; bit < bits; bit += step {
			if err := r.read(i, int64(bit/8), []byte{record[bit/8] ^ 1<<(bit%8)}); !isRot(err) {
				t.Fatalf("block of %d bytes, bit %d: %v", n, bit, err)
			}
		}
	}
}

// A sector that was never written, or got the bytes of another one, is noticed.
func TestEveryTornSectorIsFound(t *testing.T) {
	const sector = 512
	r := newRot(t, 5000, 40<<10, 2<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, sector)
	for i, b := range r.blocks {
		record := r.record(i)
		step := sector * (1 + len(record)/(256<<10)*7) // all sectors of short ones
		for at := 0; at < len(record); at += step {
			was := record[at:min(at+sector, len(record))]
			for j := range random {
				random[j] = byte(rng.Uint32())
			}
			other := (at + 7*sector) % (len(record) - sector)
			for name, now := range map[string][]byte{
				"zeros": make([]byte, sector), "another sector": record[other : other+sector], "noise": random,
			} {
				now = now[:len(was)]
				if bytes.Equal(now, was) {
					continue
				}
				if err := r.read(i, int64(at), now); !isRot(err) {
					t.Fatalf("block of %d bytes, %s at %d: %v", b.Len(), name, at, err)
				}
			}
		}
	}
}

// A record of another place, of another block, or of one that was freed is not taken
// for the one that is looked for.
func TestOtherRecordsAreFound(t *testing.T) {
	r := newRot(t, 5000, 5000, 5000)
	if err := r.read(0, 0, r.record(1)); !errors.Is(err, ErrHeader) {
		t.Errorf("the record of another place: %v", err)
	}
	r.f.with = nil
	buf := make([]byte, 5000)
	if _, err := r.s.ReadSummed(r.locs[0], r.blocks[1].ID().Digest(), buf); !errors.Is(err, ErrHeader) {
		t.Errorf("the place of another block: %v", err)
	}
	for _, at := range []int64{0, HeaderSize, 4096} { // what is freed reads as zeros
		if err := r.read(0, at, make([]byte, RecordSize(5000)-at)); !isRot(err) {
			t.Errorf("freed from %d on: %v", at, err)
		}
	}
}

// Records of version 1 are read as before, also beside others in one pack.
func TestRecordsWithoutChecksums(t *testing.T) {
	s := testSet(t, faultfs.New(1), nil)
	s.cfg.Checksums = false
	a, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	locs, _ := write(t, a, 100, 40<<10)
	s.cfg.Checksums = true
	more, end := write(t, a, 100, 40<<10)
	for i, l := range append(locs, more...) {
		h, err := s.ReadHeader(l)
		if err != nil || h.Summed != (i >= 2) || h.Off != l.Off {
			t.Errorf("record %d: %+v, %v", i, h, err)
		}
		b := testBlock(int(l.Len), byte(i%2))
		buf := make([]byte, l.Len)
		summed, err := s.ReadSummed(l, b.ID().Digest(), buf)
		if err != nil || summed != (i >= 2) || !bytes.Equal(buf, b.Data()) {
			t.Errorf("record %d: compared with a checksum: %v, %v", i, summed, err)
		}
	}
	n := 0
	err = s.Scan(t.Context(), a.Pack(), 0, end, func(r Record) error {
		if n++; !r.OK {
			t.Errorf("a damaged record at %d", r.Loc.Off)
		}
		return nil
	})
	if err != nil || n != 4 {
		t.Errorf("%d records, %v", n, err)
	}
	if err := errors.Join(a.Release(false), s.Close()); err != nil {
		t.Error(err)
	}
}

func BenchmarkReadSummed(b *testing.B) {
	for name, n := range map[string]int{"4KiB": 4 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			s, err := Open(Config{
				FS: durable.OS, Dir: dir, MaxSize: 8 << 20, Checksums: true,
				Room: func(_, want int64) (int64, error) { return want, nil },
			}, nil)
			if err != nil {
				b.Fatal(err)
			}
			a, err := s.Lease()
			if err != nil {
				b.Fatal(err)
			}
			bl := testBlock(n, 1)
			l, err := a.Append(b.Context(), bl)
			if err != nil {
				b.Fatal(err)
			}
			a.Committed(a.Cut())
			if err := errors.Join(a.Sync(), a.Release(false)); err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, n)
			for _, way := range []struct {
				name string
				read func() error
			}{
				{"no check", func() error { return s.ReadBlock(l, buf) }},
				{"CRC-32C", func() error { _, err := s.ReadSummed(l, bl.ID().Digest(), buf); return err }},
				{"SHA-256", func() error {
					err := s.ReadBlock(l, buf)
					if err == nil {
						_, err = block.Check(bl.ID(), buf)
					}
					return err
				}},
			} {
				b.Run(way.name, func(b *testing.B) {
					b.SetBytes(int64(n))
					for b.Loop() {
						if err := way.read(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
