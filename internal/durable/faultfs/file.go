package faultfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"unsafe"

	"github.com/decube/decube/internal/durable"
)

// node is a file's content: as programs see it, as it was when last synced, and
// the changes between the two.
type node struct {
	cur     []byte
	synced  []byte
	log     []change
	punched int64 // bytes given back to the disk
}

// change is a write, or with nil data a change of size or a hole.
type change struct {
	off  int64
	data []byte
	n    int64
	kind kind
}

type kind uint8

const (
	write kind = iota
	truncate
	grow
	punch
)

func (c change) applyTo(b []byte) []byte {
	switch c.kind {
	case write:
		b = growTo(b, c.off+int64(len(c.data)))
		copy(b[c.off:], c.data)
	case truncate:
		b = growTo(b, c.n)[:c.n]
	case grow:
		b = growTo(b, c.off+c.n)
	case punch:
		if c.off < int64(len(b)) {
			clear(b[c.off:min(c.off+c.n, int64(len(b)))])
		}
	}
	return b
}

func growTo(b []byte, n int64) []byte {
	if int64(len(b)) >= n {
		return b
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}

// afterCrash returns what a disk may hold: all that was synced, and of the rest
// each change wholly, not at all, or in part.
func (n *node) afterCrash(rng *rand.Rand) *node {
	b := slices.Clone(n.synced)
	for _, c := range n.log {
		switch rng.IntN(3) {
		case 0: // lost
		case 1:
			b = c.applyTo(b)
		case 2:
			b = c.tear(b, rng)
		}
	}
	return &node{cur: b, synced: slices.Clone(b)}
}

// tear applies a random choice of the sectors or pages of a write.
func (c change) tear(b []byte, rng *rand.Rand) []byte {
	if c.kind != write {
		return c.applyTo(b)
	}
	unit := int64(512)
	if rng.IntN(2) == 0 {
		unit = 4096
	}
	for at := int64(0); at < int64(len(c.data)); at += unit {
		if rng.IntN(2) == 0 {
			part := c.data[at:min(at+unit, int64(len(c.data)))]
			b = change{off: c.off + at, data: part}.applyTo(b)
		}
	}
	return b
}

// handle is an open file.
type handle struct {
	fs     *FS
	name   string
	node   *node
	direct bool
}

// Create implements durable.FS.
func (f *FS) Create(name string, _ fs.FileMode) (durable.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = clean(name)
	if f.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	halfway, err := f.step("create", name)
	if err != nil && !halfway {
		return nil, err
	}
	n := &node{}
	f.names[name] = n
	f.pending = append(f.pending, nameOp{name, n})
	if err != nil {
		return nil, err
	}
	return &handle{fs: f, name: name, node: n, direct: true}, nil
}

// OpenWrite implements durable.FS.
func (f *FS) OpenWrite(name string) (durable.File, error) { return f.open(name, true) }

// OpenRead implements durable.FS.
func (f *FS) OpenRead(name string) (durable.File, error) { return f.open(name, false) }

func (f *FS) open(name string, direct bool) (durable.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if err != nil {
		return nil, err
	}
	return &handle{fs: f, name: clean(name), node: n, direct: direct}, nil
}

// ReadAt implements durable.File.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.fs.crashed {
		return 0, ErrCrashed
	}
	if off >= int64(len(h.node.cur)) {
		return 0, io.EOF
	}
	n := copy(p, h.node.cur[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements durable.File; it insists on the alignment that O_DIRECT needs.
func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	if !h.direct || len(p) == 0 || off%durable.Align != 0 || len(p)%durable.Align != 0 ||
		uintptr(unsafe.Pointer(&p[0]))%durable.Align != 0 {
		return 0, &fs.PathError{Op: "write", Path: h.name, Err: errors.New("not aligned, or not open for writing")}
	}
	if err := h.write(p, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (h *handle) write(p []byte, off int64) error {
	return h.change("write", change{off: off, data: bytes.Clone(p)}, off+int64(len(p))-h.len())
}

// Allocate implements durable.File.
func (h *handle) Allocate(off, n int64) error {
	return h.change("allocate", change{off: off, n: n, kind: grow}, off+n-h.len())
}

// Prefetch implements durable.File: all is in memory.
func (h *handle) Prefetch(int64, int64) {}

// PunchHole implements durable.File.
func (h *handle) PunchHole(off, n int64) error {
	before, err := h.DataBytes(off, n)
	if err != nil {
		return err
	}
	if err := h.change("punch", change{off: off, n: n, kind: punch}, 0); err != nil {
		return err
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.node.punched += before
	return nil
}

// Truncate implements durable.File.
func (h *handle) Truncate(size int64) error {
	return h.change("truncate", change{n: size, kind: truncate}, size-h.len())
}

// change applies c to what programs see and logs it for the next Sync.
func (h *handle) change(op string, c change, grow int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	halfway, err := h.fs.step(op, h.name)
	if err != nil && !halfway {
		return err
	}
	if err == nil {
		if err := h.fs.room(h.name, grow); err != nil {
			return err
		}
	}
	h.node.cur = c.applyTo(h.node.cur)
	h.node.log = append(h.node.log, c)
	return err
}

// Sync implements durable.File.
func (h *handle) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	halfway, err := h.fs.step("sync", h.name)
	switch {
	case err == nil, halfway && h.fs.rng.IntN(2) == 0:
		for _, c := range h.node.log {
			h.node.synced = c.applyTo(h.node.synced)
		}
		h.node.log = nil
	case !halfway && !h.fs.crashed:
		h.node.log = nil // the kernel dropped the pages
	}
	return err
}

func (h *handle) len() int64 {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return int64(len(h.node.cur))
}

// Size implements durable.File.
func (h *handle) Size() (int64, error) {
	if h.fs.Crashed() {
		return 0, ErrCrashed
	}
	return h.len(), nil
}

// DataBytes implements durable.File: pages that are all zero are holes here.
func (h *handle) DataBytes(off, n int64) (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.fs.crashed {
		return 0, ErrCrashed
	}
	var total int64
	end := min(off+n, int64(len(h.node.cur)))
	var zero [durable.Align]byte
	for at := off; at < end; at += durable.Align {
		page := h.node.cur[at:min(at+durable.Align, end)]
		if !bytes.Equal(page, zero[:len(page)]) {
			total += int64(len(page))
		}
	}
	return total, nil
}

// Close implements durable.File. Closing makes nothing durable.
func (h *handle) Close() error { return nil }
