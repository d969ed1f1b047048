package wal

import (
	"bytes"
	"errors"
	"hash/crc32"
	"path/filepath"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
)

// What decodes as a manifest is what encode writes for it.
func FuzzManifest(f *testing.F) {
	m := manifest{log: logID{1, 2, 3}, segmentSize: 16 << 20, last: 7, segments: []uint32{0, 1, 5}}
	f.Add(m.encode())
	m.closed, m.segments = true, []uint32{9}
	f.Add(m.encode())
	f.Add([]byte(manifestMagic))
	f.Add(bytes.Repeat([]byte{1}, manifestHead+8))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, fix := range []bool{false, true} {
			if fix && len(b) >= 4 { // let the mutations reach what the checksum guards
				b = le.AppendUint32(bytes.Clone(b[:len(b)-4]), crc32.Checksum(b[:len(b)-4], castagnoli))
			}
			m, err := decodeManifest(b)
			if err != nil && !errors.Is(err, errManifest) && !errors.Is(err, ErrVersion) {
				t.Fatal(err)
			}
			if err == nil && !bytes.Equal(m.encode(), b) {
				t.Fatalf("%x decodes to %+v, which is %x", b, m, m.encode())
			}
		}
	})
}

// frame puts bytes into sectors, with right checksums, as the group that the
// bytes say.
func frame(c *checksummer, data []byte) []byte {
	g := builder{buf: make([]byte, blocksFor(len(data))*blockSize)}
	g.put(data)
	h := decodeHeader(g.buf)
	if n := headerSize + int(h.length); n <= len(data) {
		le.PutUint32(g.buf, crc32.Checksum(data[4:n], castagnoli))
	}
	for i := range len(g.buf) / sectorSize {
		c.finish(g.buf[i*sectorSize:(i+1)*sectorSize], i, h.group)
	}
	return g.buf
}

// What decodes as a group is what the builder makes of its records.
func FuzzGroup(f *testing.F) {
	sums := newChecksummer(logID{7}, 3)
	for _, sizes := range [][]int{{}, {0}, {1, 0, 500, 491}, {5000, 3}} {
		g := builder{buf: make([]byte, 4*blockSize)}
		g.reset()
		for i, size := range sizes {
			g.add(byte(i), content(uint64(i), size))
		}
		b, _ := g.seal(header{prev: 1, group: 2, floor: 1, index: 9}, sums, 0)
		f.Add(gather(nil, b, len(b)/sectorSize*sectorData))
	}
	f.Add(make([]byte, headerSize))
	f.Add(append(make([]byte, headerSize), 1)) // in the padding
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < headerSize || len(data) > 1<<16 {
			return
		}
		b := frame(sums, data)
		number := decodeHeader(b).group
		got, ok := image{b, sums}.groupAt(0, number, nil)
		if !ok {
			return
		}
		again := builder{buf: make([]byte, len(b))}
		again.reset()
		for r := range got.records() {
			again.add(r.Kind, r.Data)
		}
		h := header{prev: got.prev, group: number, floor: got.floor, index: got.index}
		if out, sum := again.seal(h, sums, 0); sum != got.sum || !bytes.Equal(out, b[:len(out)]) {
			t.Fatalf("group %+v of %d bytes is another one when written again", got.header, len(got.data))
		}
	})
}

// A log with arbitrary bytes in it opens as something that works, or not at all.
func FuzzOpen(f *testing.F) {
	fsys := faultfs.New(1)
	l, err := Create(tiny(fsys))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"one", "two", "three"} {
		if _, err := l.Append(1, []byte(text)); err != nil {
			f.Fatal(err)
		}
		if err := l.Sync(); err != nil {
			f.Fatal(err)
		}
	}
	sound := snapshot(f, fsys)
	segment := filepath.Base(l.live[0].name)
	f.Add(0, []byte{}, false)
	f.Add(2*blockSize, []byte{1}, false)
	f.Add(2*blockSize, make([]byte, sectorSize), false)
	f.Add(blockSize, make([]byte, 2*blockSize), true)
	f.Add(3*blockSize-8, []byte{4}, true)
	g := builder{buf: make([]byte, blockSize)}
	g.reset()
	g.add(2, []byte("four"))
	b, _ := g.seal(header{prev: l.sum, group: 4, floor: 1, index: 4}, newChecksummer(l.id, l.live[0].number), 3*blockSectors)
	f.Add(3*blockSize, bytes.Clone(b), false)
	f.Fuzz(func(t *testing.T, off int, data []byte, fix bool) {
		d := sound.copy()
		if off < 0 || off >= len(d[segment]) {
			return
		}
		n := copy(d[segment][off:], data)
		if fix { // the sectors that were changed
			c := newChecksummer(l.id, l.live[0].number)
			for i := off / sectorSize; i*sectorSize < off+n; i++ {
				s := d[segment][i*sectorSize:][:sectorSize]
				c.finish(s, i, claim(s))
			}
		}
		o := tiny(d.mount(t))
		got, err := Open(o)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		var before []Record
		for r, err := range got.Replay() {
			if err != nil {
				t.Fatal(err)
			}
			before = append(before, r)
		}
		if _, err := got.Append(1, []byte("more")); err != nil {
			t.Fatal(err)
		}
		if err := got.Sync(); err != nil {
			t.Fatal(err)
		}
		again := open(t, o)
		if r := again.Recovery(); r.Next != got.Next() || r.First+uint64(len(before))+1 != r.Next {
			t.Fatalf("%+v after %d records", r, len(before))
		}
		if err := errors.Join(got.release(), again.release()); err != nil {
			t.Fatal(err)
		}
	})
}
