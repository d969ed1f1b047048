package faultfs

import (
	"slices"

	"github.com/decube/decube/internal/durable"
)

// Sector is how many bytes a disk writes as a whole.
const Sector = 512

// page is a part of a file. Pages are never changed once they are in a content, so
// that contents share them.
type page [durable.Align]byte

// reserved stands for space that was allocated and not written.
var reserved = new(page)

// content is a file's bytes. A nil page is a hole; bytes of the last page beyond
// the size are zero.
type content struct {
	pages  []*page
	size   int64
	filled int  // pages that are no holes
	shared bool // pages belongs to another content too
}

// clone returns a copy. Neither changes with the other from now on.
func (c *content) clone() content {
	c.shared = true
	return *c
}

// set replaces a page, which exists.
func (c *content) set(i int, p *page) {
	if c.pages[i] == p {
		return
	}
	if c.shared {
		c.pages, c.shared = slices.Clone(c.pages), false
	}
	if c.pages[i] != nil {
		c.filled--
	}
	if p != nil {
		c.filled++
	}
	c.pages[i] = p
}

// used returns the bytes that the content occupies on the disk.
func (c *content) used() int64 {
	n := int64(c.filled) * durable.Align
	if last := len(c.pages) - 1; last >= 0 && c.pages[last] != nil {
		n -= int64(len(c.pages))*durable.Align - c.size
	}
	return n
}

// resize sets the size. What comes in addition is a hole.
func (c *content) resize(size int64) {
	n := int((size + durable.Align - 1) / durable.Align)
	if c.shared && n != len(c.pages) {
		c.pages, c.shared = slices.Clone(c.pages), false
	}
	for len(c.pages) > n {
		c.set(len(c.pages)-1, nil)
		c.pages = c.pages[:len(c.pages)-1]
	}
	if len(c.pages) < n {
		c.pages = append(c.pages, make([]*page, n-len(c.pages))...)
	}
	shrunk := size < c.size
	c.size = size
	if end := int64(n) * durable.Align; shrunk && size < end {
		c.zero(size, end-size)
	}
}

// grow makes the content at least size bytes long.
func (c *content) grow(size int64) {
	if size > c.size {
		c.resize(size)
	}
}

// each calls do for every page that a range of existing pages touches, with the
// part of the page that is in the range.
func each(off, n int64, do func(i int, from, to int64)) {
	for at := off; at < off+n; {
		i := at / durable.Align
		start := i * durable.Align
		to := min(start+durable.Align, off+n)
		do(int(i), at-start, to-start)
		at = to
	}
}

// write puts data, which the content may hold on to, at an offset.
func (c *content) write(data []byte, off int64) {
	c.grow(off + int64(len(data)))
	rest := data
	each(off, int64(len(data)), func(i int, from, to int64) {
		part := rest[:to-from]
		rest = rest[to-from:]
		if len(part) == durable.Align {
			c.set(i, (*page)(part))
			return
		}
		p := c.copyOf(i)
		copy(p[from:], part)
		c.set(i, p)
	})
}

// copyOf returns a page to change and set again.
func (c *content) copyOf(i int) *page {
	p := new(page)
	if old := c.pages[i]; old != nil {
		*p = *old
	}
	return p
}

// reserve allocates space for a range, without a change to its bytes.
func (c *content) reserve(off, n int64) {
	c.grow(off + n)
	each(off, n, func(i int, _, _ int64) {
		if c.pages[i] == nil {
			c.set(i, reserved)
		}
	})
}

// zero makes a range read as zeros. Whole pages become holes.
func (c *content) zero(off, n int64) {
	end := min(off+n, int64(len(c.pages))*durable.Align)
	each(off, end-off, func(i int, from, to int64) {
		switch {
		case to-from == durable.Align:
			c.set(i, nil)
		case c.pages[i] != nil && c.pages[i] != reserved:
			p := c.copyOf(i)
			clear(p[from:to])
			c.set(i, p)
		}
	})
}

// readAt copies bytes from an offset and returns how many there are.
func (c *content) readAt(b []byte, off int64) int {
	n := min(int64(len(b)), c.size-off)
	if n <= 0 {
		return 0
	}
	b = b[:n]
	each(off, n, func(i int, from, to int64) {
		if p := c.pages[i]; p != nil {
			copy(b[:to-from], p[from:to])
		} else {
			clear(b[:to-from])
		}
		b = b[to-from:]
	})
	return int(n)
}

// written returns how many bytes of a range are on pages that were written.
func (c *content) written(off, n int64) int64 {
	var total int64
	each(off, min(n, c.size-off), func(i int, from, to int64) {
		if p := c.pages[i]; p != nil && p != reserved {
			total += to - from
		}
	})
	return total
}

// missing returns how many bytes of space a write or reservation would need.
func (c *content) missing(off, n int64) int64 {
	after := content{size: max(c.size, off+n), filled: c.filled}
	pages := (after.size + durable.Align - 1) / durable.Align
	each(off, n, func(i int, _, _ int64) {
		if i >= len(c.pages) || c.pages[i] == nil {
			after.filled++
		}
	})
	more := int64(after.filled)*durable.Align - c.used()
	lastFilled := off+n == after.size || c.size > 0 && c.pages[len(c.pages)-1] != nil
	if lastFilled {
		more -= pages*durable.Align - after.size
	}
	return more
}
