package create

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// A directory's record in the cache. Integers are varints, byte strings and lists
// begin with their length.
//
//	path
//	nodes:   [ID (36 bytes), size], the directory's own node last
//	chunks:  [ID (36 bytes), size]
//	entries: [name, flags, mode, ino, size, mtime sec, nsec, ctime sec, nsec, uid, gid,
//	          user, group, link,
//	          seen (regular files that are not trusted), target (symbolic links),
//	          major, minor (devices), node (directories: 36 bytes),
//	          xattrs [name, value], pieces [chunk + 1 or 0 for a hole, offset, length]]
const flagTrusted = 1

type encoder struct{ data []byte }

func (e *encoder) uint(v uint64) { e.data = binary.AppendUvarint(e.data, v) }
func (e *encoder) int(v int64)   { e.data = binary.AppendVarint(e.data, v) }

func (e *encoder) bytes(b []byte) {
	e.uint(uint64(len(b)))
	e.data = append(e.data, b...)
}

func (e *encoder) string(s string) {
	e.uint(uint64(len(s)))
	e.data = append(e.data, s...)
}

func (e *encoder) refs(list []ref) {
	e.uint(uint64(len(list)))
	for _, r := range list {
		e.data = r.id.AppendBytes(e.data)
		e.uint(uint64(r.size))
	}
}

// appendDir appends a finished directory's record: the snapshot began at started, and
// now it is now, by this machine's clock.
func appendDir(dst []byte, d *directory, started, now int64) []byte {
	e := encoder{data: dst}
	e.string(d.rel)
	e.refs(d.share.nodes)
	table := make(map[block.ID]uint64)
	var chunks []ref
	count := 0
	for _, it := range d.items {
		if !it.dropped {
			count++
		}
		for _, p := range it.pieces {
			if _, ok := table[p.Chunk.ID]; !ok && !p.Hole() {
				chunks = append(chunks, ref{p.Chunk.ID, p.chunkSize})
				table[p.Chunk.ID] = uint64(len(chunks))
			}
		}
	}
	e.refs(chunks)
	e.uint(uint64(count))
	for _, it := range d.items {
		if !it.dropped {
			trusted, seen := d.trust(it, started, now)
			e.item(it, table, trusted, seen)
		}
	}
	return e.data
}

func (e *encoder) item(it *item, table map[block.ID]uint64, trusted bool, seen int64) {
	e.string(it.name)
	flags := uint64(0)
	if trusted {
		flags = flagTrusted
	}
	st := &it.st
	for _, v := range []uint64{flags, uint64(st.Mode), st.Ino, uint64(st.Size)} {
		e.uint(v)
	}
	for _, v := range []int64{st.MSec, st.MNsec, st.CSec, st.CNsec} {
		e.int(v)
	}
	e.uint(uint64(st.UID))
	e.uint(uint64(st.GID))
	e.string(it.entry.User)
	e.string(it.entry.Group)
	e.bytes(it.entry.Link)
	switch st.Type() {
	case unix.S_IFREG:
		if !trusted {
			e.int(seen)
		}
	case unix.S_IFLNK:
		e.bytes(it.entry.Target)
	case unix.S_IFCHR, unix.S_IFBLK:
		e.uint(it.entry.Device[0])
		e.uint(it.entry.Device[1])
	case unix.S_IFDIR:
		e.data = it.entry.Node.ID.AppendBytes(e.data)
	}
	e.uint(uint64(len(it.entry.Xattrs)))
	for _, x := range it.entry.Xattrs {
		e.bytes(x.Name)
		e.bytes(x.Value)
	}
	e.uint(uint64(len(it.pieces)))
	for _, p := range it.pieces {
		e.uint(table[p.Chunk.ID]) // 0 for a hole
		e.uint(p.Offset)
		e.uint(p.Length)
	}
}

// decoder reads a record. After a failure it gives zero values.
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

// count reads the length of a list, whose elements take a byte each at least.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.data)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) id() block.ID {
	id, err := block.FromBytes(d.take(block.IDSize))
	if err != nil {
		d.fail()
	}
	return id
}

func (d *decoder) refs() []ref {
	n := d.count()
	if n > len(d.data)/block.IDSize {
		d.fail()
		return nil
	}
	list := make([]ref, n)
	for i := range list {
		list[i] = ref{id: d.id(), size: int(d.uint())}
	}
	return list
}

// head reads a record up to its entries.
func (d *decoder) head() *cachedDir {
	d.bytes() // the path
	return &cachedDir{nodes: d.refs(), chunks: d.refs()}
}

// decodeDir reads a record, and returns nil for one that makes no sense.
func decodeDir(record []byte, missing map[block.ID]struct{}) *cachedDir {
	d := &decoder{data: record}
	dir := d.head()
	lost := func(id block.ID) bool {
		_, ok := missing[id]
		return ok
	}
	for i, r := range dir.nodes {
		if i == len(dir.nodes)-1 {
			dir.node = r.id
		}
		if lost(r.id) {
			dir.node = block.ID{}
			break
		}
	}
	dir.entries = make([]cachedEntry, d.count())
	for i := range dir.entries {
		d.entry(&dir.entries[i], dir.chunks)
		for _, p := range dir.entries[i].content.pieces {
			dir.entries[i].lost = dir.entries[i].lost || lost(p.Chunk.ID)
		}
	}
	if d.failed || len(d.data) > 0 {
		return nil
	}
	return dir
}

func (d *decoder) entry(e *cachedEntry, chunks []ref) {
	e.name = string(d.bytes())
	e.trusted = d.uint()&flagTrusted != 0
	st := &e.st
	*st = fsys.Stat{Mode: uint32(d.uint()), Ino: d.uint(), Size: int64(d.uint())}
	st.MSec, st.MNsec, st.CSec, st.CNsec = d.int(), d.int(), d.int(), d.int()
	st.UID, st.GID = uint32(d.uint()), uint32(d.uint())
	e.user, e.group = string(d.bytes()), string(d.bytes())
	e.link = d.bytes()
	switch st.Type() {
	case unix.S_IFREG:
		if !e.trusted {
			e.seen = d.int()
		}
	case unix.S_IFLNK:
		e.target = d.bytes()
	case unix.S_IFCHR, unix.S_IFBLK:
		e.device = []uint64{d.uint(), d.uint()}
	case unix.S_IFDIR:
		e.node = d.id()
	}
	if n := d.count(); n > 0 {
		e.content.xattrs = make([]manifest.Xattr, n)
		for i := range e.content.xattrs {
			e.content.xattrs[i] = manifest.Xattr{Name: d.bytes(), Value: d.bytes()}
		}
	}
	if n := d.count(); n > 0 {
		e.content.pieces = make([]piece, n)
		for i := range e.content.pieces {
			d.piece(&e.content.pieces[i], chunks)
		}
	}
}

func (d *decoder) piece(p *piece, chunks []ref) {
	n := d.uint()
	p.Offset, p.Length = d.uint(), d.uint()
	switch {
	case n > uint64(len(chunks)):
		d.fail()
	case n > 0:
		r := chunks[n-1]
		p.Chunk, p.chunkSize = manifest.LinkTo(r.id), r.size
	}
}
