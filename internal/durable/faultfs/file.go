package faultfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"unsafe"

	"github.com/decube/decube/internal/durable"
)

// handle is an open file. Closing it makes nothing durable, and it outlives its
// name as with POSIX.
type handle struct {
	fs     *FS
	name   string
	node   *node
	direct bool
	closed bool
}

var errAlignment = errors.New("not aligned, or not open for writing")

// ready returns why a handle cannot be used. fs.mu is held.
func (h *handle) ready(op string) error {
	switch {
	case h.fs.crashed:
		return ErrCrashed
	case h.closed:
		return &fs.PathError{Op: op, Path: h.name, Err: fs.ErrClosed}
	}
	return nil
}

// ReadAt implements durable.File.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.ready("read"); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: h.name, Err: errors.New("negative offset")}
	}
	n := h.node.cur.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements durable.File; it insists on the alignment that O_DIRECT needs.
func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	if !h.direct || len(p) == 0 || off < 0 || off%durable.Align != 0 || len(p)%durable.Align != 0 ||
		uintptr(unsafe.Pointer(&p[0]))%durable.Align != 0 {
		return 0, &fs.PathError{Op: "write", Path: h.name, Err: errAlignment}
	}
	if err := h.write(p, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (h *handle) write(p []byte, off int64) error {
	return h.change(OpWrite, change{kind: write, off: off, data: bytes.Clone(p)})
}

// Allocate implements durable.File.
func (h *handle) Allocate(off, n int64) error {
	return h.change(OpAllocate, change{kind: allocate, off: off, n: n})
}

// Prefetch implements durable.File: all is in memory.
func (h *handle) Prefetch(int64, int64) {}

// PunchHole implements durable.File.
func (h *handle) PunchHole(off, n int64) error {
	return h.change(OpPunch, change{kind: punch, off: off, n: n})
}

// Truncate implements durable.File.
func (h *handle) Truncate(size int64) error {
	return h.change(OpTruncate, change{kind: truncate, n: size})
}

// change makes a change that programs see, and remembers it for the next Sync.
func (h *handle) change(kind OpKind, c change) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.ready(string(kind)); err != nil {
		return err
	}
	if c.off < 0 || c.n < 0 {
		return &fs.PathError{Op: string(kind), Path: h.name, Err: fs.ErrInvalid}
	}
	halfway, err := h.fs.step(kind, h.name)
	if err != nil && !halfway {
		return err
	}
	if err == nil && (c.kind == write || c.kind == allocate) {
		more := h.node.cur.missing(c.off, max(c.n, int64(len(c.data))))
		if err := h.fs.room(kind, h.name, more); err != nil {
			return err
		}
	}
	c.applyTo(&h.node.cur)
	h.node.log = append(h.node.log, c)
	return err
}

// Sync implements durable.File.
func (h *handle) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.ready("sync"); err != nil {
		return err
	}
	halfway, err := h.fs.step(OpSync, h.name)
	switch {
	case h.fs.lying:
	case err == nil, halfway && h.fs.rng.IntN(2) == 0:
		h.node.sync()
	case !halfway:
		// The kernel wrote some pages and dropped the others, and none of them
		// is dirty any more: the next Sync will not try them again.
		h.node.synced = h.node.afterCrash(Model{}, Random(h.fs.rng))
		h.node.log = nil
	}
	return err
}

// Size implements durable.File.
func (h *handle) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.ready("stat"); err != nil {
		return 0, err
	}
	return h.node.cur.size, nil
}

// DataBytes implements durable.File.
func (h *handle) DataBytes(off, n int64) (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.ready("seek data"); err != nil {
		return 0, err
	}
	return h.node.cur.written(off, n), nil
}

// Close implements durable.File.
func (h *handle) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.closed {
		return &fs.PathError{Op: "close", Path: h.name, Err: fs.ErrClosed}
	}
	h.closed = true
	return nil
}
