package create

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// How records and contents are written where they are set aside and in the stat cache.
// Integers are varints; byte strings and lists begin with their length.
//
//	stat:    mode, ino, size, mtime sec, nsec, ctime sec, nsec, uid, gid
//	content: chunks [ID (36 bytes), size], extents [chunk + 1 or 0 for a hole, offset, length],
//	         pages [ID, size, extents, bytes]

// encoder appends to data. With spill, what comes of a long list is handed to that in
// pieces, and is gone from data.
type encoder struct {
	data  []byte
	spill func([]byte)
}

// spillSize is from how many bytes on data is spilled.
const spillSize = 64 << 10

func (e *encoder) uint(v uint64) { e.data = binary.AppendUvarint(e.data, v) }
func (e *encoder) int(v int64)   { e.data = binary.AppendVarint(e.data, v) }

func (e *encoder) bytes(b []byte) {
	e.uint(uint64(len(b)))
	e.data = append(e.data, b...)
}

// Write implements io.Writer.
func (e *encoder) Write(b []byte) (int, error) {
	e.data = append(e.data, b...)
	return len(b), nil
}

func (e *encoder) ref(r ref) {
	if e.spill != nil && len(e.data) >= spillSize {
		e.spill(e.data)
		e.data = e.data[:0]
	}
	e.data = r.id.AppendBytes(e.data)
	e.uint(uint64(r.size))
}

func (e *encoder) stat(st *fsys.Stat) {
	for _, v := range []uint64{uint64(st.Mode), st.Ino, uint64(st.Size)} {
		e.uint(v)
	}
	for _, v := range []int64{st.MSec, st.MNsec, st.CSec, st.CNsec} {
		e.int(v)
	}
	e.uint(uint64(st.UID))
	e.uint(uint64(st.GID))
}

func (e *encoder) xattrs(list []manifest.Xattr) {
	e.uint(uint64(len(list)))
	for _, x := range list {
		e.bytes(x.Name)
		e.bytes(x.Value)
	}
}

func (e *encoder) content(c *content) {
	e.uint(uint64(len(c.chunks)))
	for _, r := range c.chunks {
		e.ref(r)
	}
	e.uint(uint64(len(c.extents)))
	at := 0
	for _, x := range c.extents {
		n := 0 // a hole
		if !x.Hole() {
			// The next chunk of the list, or the same as before.
			for c.chunks[at].id != x.Chunk.ID {
				at++
			}
			n = at + 1
		}
		e.uint(uint64(n))
		e.uint(x.Offset)
		e.uint(x.Length)
	}
	e.uint(uint64(len(c.pages)))
	for i, p := range c.pages {
		e.ref(c.nodes[i])
		e.uint(p.Count)
		e.uint(p.Length)
	}
}

// decoder reads what an encoder has written. After a failure it gives zero values.
type decoder struct {
	data   []byte
	failed bool
}

func (d *decoder) fail() {
	d.failed = true
	d.data = nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.fail()
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) bytes() []byte { return d.take(d.uint()) }

// count reads the length of a list, whose elements take least bytes each at least.
func (d *decoder) count(least int) int {
	n := d.uint()
	if n > uint64(len(d.data)/least) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) ref() ref {
	id, err := block.FromBytes(d.take(block.IDSize))
	if err != nil {
		d.fail()
	}
	return ref{id, int(d.uint())}
}

func (d *decoder) stat() fsys.Stat {
	st := fsys.Stat{Mode: uint32(d.uint()), Ino: d.uint(), Size: int64(d.uint())}
	st.MSec, st.MNsec, st.CSec, st.CNsec = d.int(), d.int(), d.int(), d.int()
	st.UID, st.GID = uint32(d.uint()), uint32(d.uint())
	return st
}

// xattrs does not alias what is decoded.
func (d *decoder) xattrs() []manifest.Xattr {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	list := make([]manifest.Xattr, n)
	for i := range list {
		list[i] = manifest.Xattr{Name: bytes.Clone(d.bytes()), Value: bytes.Clone(d.bytes())}
	}
	return list
}

// leastRef is how many bytes a ref takes at least.
const leastRef = block.IDSize + 1

func (d *decoder) content() (c content) {
	if n := d.count(leastRef); n > 0 {
		c.chunks = make([]ref, n)
		for i := range c.chunks {
			c.chunks[i] = d.ref()
		}
	}
	if n := d.count(3); n > 0 {
		c.extents = make([]manifest.Extent, n)
		last := uint64(1)
		for i := range c.extents {
			chunk := d.uint()
			c.extents[i] = manifest.Extent{Offset: d.uint(), Length: d.uint()}
			if chunk == 0 {
				continue
			}
			if chunk < last || chunk > uint64(len(c.chunks)) { // chunks are in order of the file
				d.fail()
				return content{}
			}
			last = chunk
			c.extents[i].Chunk = manifest.LinkTo(c.chunks[chunk-1].id)
		}
	}
	if n := d.count(leastRef + 2); n > 0 {
		c.pages, c.nodes = make([]manifest.ExtentRef, n), make([]ref, n)
		for i := range c.pages {
			c.nodes[i] = d.ref()
			c.pages[i] = manifest.ExtentRef{Page: manifest.LinkTo(c.nodes[i].id), Count: d.uint(), Length: d.uint()}
		}
	}
	return c
}

// Flags of a record.
const (
	flagUnsettled = 1 << iota
	flagPartial
	flagTrusted
	flagGeneration
	flagAside
)

func flag(set bool, flag uint64) uint64 {
	if set {
		return flag
	}
	return 0
}

// append appends the record as it is set aside: entry, stat with the device, what the
// content is or where it is set aside, and what the cache says next time.
func (r *record) append(dst []byte) ([]byte, error) {
	var buf bytes.Buffer
	if err := r.entry.MarshalCBOR(&buf); err != nil {
		return dst, fmt.Errorf("%w: %w", manifest.ErrInvalid, err)
	}
	e := encoder{data: dst}
	e.bytes(buf.Bytes())
	e.uint(r.st.Dev)
	e.stat(&r.st)
	e.uint(flag(r.unsettled, flagUnsettled) | flag(r.partial, flagPartial) | flag(r.trusted, flagTrusted) | flag(r.generation.Known, flagGeneration) | flag(r.content.aside.n > 0, flagAside))
	e.int(r.seen)
	e.int(int64(r.generation.Number))
	if aside := r.content.aside; aside.n > 0 {
		e.uint(uint64(aside.at))
		e.uint(uint64(aside.n))
	} else {
		e.content(&r.content)
	}
	return e.data, nil
}

// errAside says that the disk has not kept what was given to it.
var errAside = errors.New("what was set aside is not what it was")

// decodeContent reads a content that was set aside by itself.
func decodeContent(b []byte) (content, error) {
	d := decoder{data: b}
	c := d.content()
	if d.failed || len(d.data) > 0 {
		return content{}, errAside
	}
	return c, nil
}

// decodeRecord reads a record, which does not alias b.
func decodeRecord(b []byte) (*record, error) {
	d := decoder{data: b}
	r := new(record)
	if err := r.entry.UnmarshalCBOR(bytes.NewReader(d.bytes())); err != nil {
		return nil, fmt.Errorf("%w: %w", errAside, err)
	}
	dev := d.uint()
	r.st = d.stat()
	r.st.Dev = dev
	flags := d.uint()
	r.unsettled, r.partial, r.trusted = flags&flagUnsettled != 0, flags&flagPartial != 0, flags&flagTrusted != 0
	r.seen = d.int()
	r.generation = fsys.Generation{Number: int(d.int()), Known: flags&flagGeneration != 0}
	if flags&flagAside != 0 {
		r.content.aside = spooled{at: int64(d.uint()), n: int32(d.uint())}
	} else {
		r.content = d.content()
	}
	if d.failed || len(d.data) > 0 {
		return nil, errAside
	}
	return r, nil
}
