package create

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// The stat cache remembers, of the snapshot before, what stat said about each regular
// file and where its content went. It is advice: whatever is wrong with it costs time and
// never correctness, since the store is asked whether it still holds the blocks.
// Whether stat can be believed is decided in cachetrust.go. It is read in order, twice,
// and never as a whole.
//
//	offset  size  field
//	     0     8  magic "DCSTAT03"
//	     8     …  directories, each: path (its length first), files by name, 0
//	  last    32  SHA-256 of all before
//
// A file is the length of what follows; name, flags, stat, when that was seen first
// unless it is trusted, extended attributes, content: see codec.go.
const cacheMagic = "DCSTAT03"

// Bounds of a cache that is read: bytes of the file, and of what is kept of one file in it.
const (
	maxCacheFile  = 16 << 30
	maxCacheEntry = 256 << 20
)

// maxMissing is how many blocks that the store has lost are remembered. A cache with more
// is of little use.
const maxMissing = 1 << 18

// touchBatch is how many blocks the store is asked about at once.
const touchBatch = 4096

// statCache is a cache that was found to be whole; nil is an empty one.
type statCache struct {
	file    *os.File
	end     int64            // of the directories
	seed    maphash.Seed     // of the keys of at
	at      map[uint64]int64 // offset of each directory, by the hash of its path
	missing map[block.ID]struct{}
}

// errCache says that a cache is of no use.
var errCache = errors.New("not a stat cache")

// loadCache reads a cache file and asks the sink which of its blocks it still holds. The
// cache is nil if the file is of no use; the error is the sink's.
func loadCache(ctx context.Context, path string, sink Sink) (*statCache, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a fifo has nobody to wait for
	if err == nil {
		c := &statCache{file: f, seed: maphash.MakeSeed(), at: make(map[uint64]int64), missing: make(map[block.ID]struct{})}
		if err = c.load(ctx, sink); err == nil {
			return c, nil
		}
		c.close()
	}
	if refused, ok := errors.AsType[sinkError](err); ok {
		return nil, refused.error
	}
	return nil, ctx.Err() // whatever else is wrong, the cache is of no use
}

// sinkError is an error of the sink.
type sinkError struct{ error }

// close gives the file up.
func (c *statCache) close() {
	if c != nil {
		_ = c.file.Close() // it was only read
	}
}

// load goes through the file once.
func (c *statCache) load(ctx context.Context, sink Sink) error {
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	c.end = info.Size() - sha256.Size
	if !info.Mode().IsRegular() || info.Size() > maxCacheFile || c.end < int64(len(cacheMagic)) {
		return errCache
	}
	sum := sha256.New()
	in := &cacheReader{in: bufio.NewReaderSize(io.TeeReader(io.NewSectionReader(c.file, 0, c.end), sum), 256<<10)}
	if magic, err := in.bytes(len(cacheMagic)); err != nil || string(magic) != cacheMagic {
		return errCache
	}
	ask := question{sink: sink, missing: c.missing}
	for in.off < c.end {
		at := in.off
		dir, err := in.directory()
		if err != nil {
			return err
		}
		c.at[maphash.Bytes(c.seed, dir)] = at
		for {
			raw, err := in.file()
			if err != nil {
				return err
			}
			if raw == nil {
				break
			}
			_, k, err := decodeKnown(raw)
			if err != nil {
				return err
			}
			if err := ask.about(ctx, &k.content); err != nil {
				return err
			}
		}
	}
	var want [sha256.Size]byte
	if _, err := c.file.ReadAt(want[:], c.end); err != nil || !bytes.Equal(want[:], sum.Sum(nil)) {
		return errCache
	}
	return ask.rest(ctx)
}

// question asks a sink about blocks, many at a time.
type question struct {
	sink    Sink
	ids     []block.ID
	last    block.ID // neighbours share chunks
	missing map[block.ID]struct{}
}

func (q *question) about(ctx context.Context, c *content) error {
	for _, list := range [][]ref{c.nodes, c.chunks} {
		for _, r := range list {
			if r.id == q.last {
				continue
			}
			q.last = r.id
			if q.ids = append(q.ids, r.id); len(q.ids) == touchBatch {
				if err := q.rest(ctx); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (q *question) rest(ctx context.Context) error {
	if len(q.ids) == 0 {
		return nil
	}
	held, err := q.sink.Touch(ctx, q.ids)
	if err != nil {
		return sinkError{err}
	}
	for i, id := range q.ids {
		if !held[i] {
			q.missing[id] = struct{}{}
		}
	}
	q.ids = q.ids[:0]
	if len(q.missing) > maxMissing {
		return errCache
	}
	return nil
}

// cacheReader reads a cache's records.
type cacheReader struct {
	in  *bufio.Reader
	off int64
	buf []byte
}

// ReadByte implements io.ByteReader.
func (r *cacheReader) ReadByte() (byte, error) {
	b, err := r.in.ReadByte()
	if err == nil {
		r.off++
	}
	return b, err
}

// bytes reads n bytes, which are valid until the next call.
func (r *cacheReader) bytes(n int) ([]byte, error) {
	if cap(r.buf) < n {
		r.buf = make([]byte, n, n+n/2)
	}
	b := r.buf[:n]
	m, err := io.ReadFull(r.in, b)
	r.off += int64(m)
	return b, err
}

// directory reads the path of the next directory.
func (r *cacheReader) directory() ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil || n > manifest.MaxDepth*(manifest.MaxName+1) {
		return nil, errCache
	}
	return r.bytes(int(n))
}

// file reads the next file's record, which is valid until the next call, nil behind the last.
func (r *cacheReader) file() ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil || n > maxCacheEntry {
		return nil, errCache
	}
	if n == 0 {
		return nil, nil
	}
	return r.bytes(int(n))
}

// known is what the cache knows of a regular file.
type known struct {
	st      fsys.Stat
	trusted bool  // an unchanged st means unchanged content
	seen    int64 // if it is not trusted: when st was seen first, at the latest; Unix seconds
	xattrs  []manifest.Xattr
	content content
	lost    bool // the store has lost some of the content
}

// usable reports whether a file with an unchanged stat need not be read.
func (k *known) usable() bool { return k != nil && k.trusted && !k.lost }

// same reports whether stat says of a file just what it said before. The device is
// left out: its number may change when the machine starts again.
func (k *known) same(st *fsys.Stat) bool {
	o := &k.st
	return st.Ino == o.Ino && st.Mode == o.Mode && st.UID == o.UID && st.GID == o.GID && st.Size == o.Size &&
		st.MSec == o.MSec && st.MNsec == o.MNsec && st.CSec == o.CSec && st.CNsec == o.CNsec
}

// known appends what is to be known of a regular file.
func (e *encoder) known(r *record) {
	e.bytes(r.entry.Name)
	e.uint(flag(r.trusted, flagTrusted))
	e.stat(&r.st)
	if !r.trusted {
		e.int(r.seen)
	}
	e.xattrs(r.entry.Xattrs)
	e.content(&r.content)
}

// decodeKnown reads what encoder.known has written. The name aliases raw.
func decodeKnown(raw []byte) (name []byte, k *known, err error) {
	d := decoder{data: raw}
	name = d.bytes()
	k = &known{trusted: d.uint()&flagTrusted != 0, st: d.stat()}
	if !k.trusted {
		k.seen = d.int()
	}
	k.xattrs = d.xattrs()
	k.content = d.content()
	if d.failed || len(d.data) > 0 {
		return nil, nil, errCache
	}
	return name, k, nil
}

// cursor goes through what is known of the files of one directory. A nil cursor knows
// nothing.
type cursor struct {
	c    *statCache
	in   cacheReader
	name string // of next
	next *known // nil at the end
}

// dir returns what is known of a directory.
func (c *statCache) dir(rel string) *cursor {
	if c == nil {
		return nil
	}
	at, ok := c.at[maphash.String(c.seed, rel)]
	if !ok {
		return nil
	}
	cu := &cursor{c: c, in: cacheReader{in: bufio.NewReaderSize(io.NewSectionReader(c.file, at, c.end-at), 16<<10)}}
	if path, err := cu.in.directory(); err != nil || string(path) != rel {
		return nil
	}
	cu.advance()
	return cu
}

func (cu *cursor) advance() {
	cu.next = nil
	raw, err := cu.in.file()
	if err != nil || raw == nil {
		return
	}
	name, k, err := decodeKnown(raw)
	if err != nil {
		return
	}
	for _, list := range [][]ref{k.content.nodes, k.content.chunks} {
		for _, r := range list {
			if _, lost := cu.c.missing[r.id]; lost {
				k.lost = true
			}
		}
	}
	if !k.usable() {
		k.content, k.xattrs = content{}, nil // names may wait for long with it
	}
	cu.name, cu.next = string(name), k
}

// file returns what is known of a regular file whose stat is what it was. It is asked in
// ascending order of names.
func (cu *cursor) file(name string, st *fsys.Stat) *known {
	if cu == nil {
		return nil
	}
	for cu.next != nil && cu.name < name {
		cu.advance()
	}
	if cu.next == nil || cu.name != name || !cu.next.same(st) {
		return nil
	}
	return cu.next
}
