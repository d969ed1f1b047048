package create

import (
	"context"
	"errors"
	"io"
	"math"
	"sync/atomic"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// content gathers the pieces of one attempt to read a file.
type content struct {
	pieces []*piece
	left   atomic.Int64 // chunks without a name, and the reader's hold
	done   func() error // set before the hold is given up, when the attempt counts
}

func newContent() *content {
	c := new(content)
	c.left.Store(1)
	return c
}

func (c *content) release() error {
	if c.left.Add(-1) > 0 || c.done == nil {
		return nil
	}
	return c.done()
}

func (c *content) hole(n int64) {
	if n > 0 {
		c.pieces = append(c.pieces, &piece{Extent: manifest.Extent{Length: uint64(n)}})
	}
}

// chunk sends the first n bytes of the current region on as the next piece.
func (c *content) chunk(ctx context.Context, r *reader, n int) error {
	p := &piece{Extent: manifest.Extent{Length: uint64(n)}, chunkSize: n}
	c.pieces = append(c.pieces, p)
	c.left.Add(1)
	return r.take(ctx, n, func(id block.ID) error {
		p.Chunk = manifest.LinkTo(id)
		return c.release()
	})
}

// keep makes the attempt's pieces the item's content as soon as all have names.
func (c *content) keep(ctx context.Context, r *reader, it *item) error {
	c.done = func() error {
		it.pieces = make([]piece, len(c.pieces))
		for i, p := range c.pieces {
			it.pieces[i] = *p
		}
		r.files.Add(1)
		return r.complete(ctx, it)
	}
	return c.release()
}

// large reads a file that has chunks of its own.
func (r *reader) large(ctx context.Context, it *item) error {
	fd, err := r.open(it)
	if err != nil {
		return r.drop(ctx, it, "open", err)
	}
	defer fsys.CloseRead(fd)
	return r.whole(ctx, it, fd)
}

// whole reads an open file until it has not changed meanwhile.
func (r *reader) whole(ctx context.Context, it *item, fd int) error {
	fsys.Sequential(fd)
	r.generation(fd, it)
	toEnd := false
	for attempt := 1; ; attempt++ {
		c := newContent()
		size, err := r.attempt(ctx, c, fd, &it.st, toEnd)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return r.drop(ctx, it, "read", err)
		}
		attrs := r.attributes(fd, it)
		unchanged, err := r.settle(fd, it)
		if err != nil {
			return r.drop(ctx, it, "stat", err)
		}
		if !unchanged && attempt < readAttempts {
			continue
		}
		if unchanged && !toEnd && size == it.st.Size && r.goesOn(fd, size) {
			toEnd = true // the size says less than there is
			continue
		}
		if unchanged {
			r.sized(it, size)
		} else {
			it.entry.Size = uint64(size)
			it.unsettled = true
			r.problem(it.path(), "read", ErrChanged)
		}
		r.withoutAttributes(it, it.path(), attrs)
		return c.keep(ctx, r, it)
	}
}

// maxUnsized is how many bytes more than its size says are read of a file.
const maxUnsized = 1 << 30

// attempt reads a file once and returns how long it found it: holes as holes up to its
// size, or to its end as it comes.
func (r *reader) attempt(ctx context.Context, c *content, fd int, st *fsys.Stat, toEnd bool) (size int64, err error) {
	if toEnd {
		if size, err = r.run(ctx, c, &fsys.Reader{Fd: fd, Most: 64 << 10}, st.Size+maxUnsized+1); size > st.Size+maxUnsized {
			err = errors.Join(err, ErrEndless)
		}
		return size, err
	}
	if st.Blocks*512 >= st.Size {
		return r.run(ctx, c, &fsys.Reader{Fd: fd}, st.Size)
	}
	for size < st.Size {
		start, end, err := fsys.Data(fd, size, st.Size)
		if err != nil {
			return size, err
		}
		c.hole(start - size)
		n, err := r.run(ctx, c, &fsys.Reader{Fd: fd, Off: start}, end-start)
		size = start + n
		if err != nil || n < end-start {
			return size, err
		}
	}
	return size, nil
}

// run cuts up to limit bytes of src into chunks and returns their number.
func (r *reader) run(ctx context.Context, c *content, src io.Reader, limit int64) (size int64, err error) {
	if limit <= chunkMin {
		return r.runShort(ctx, c, src, limit)
	}
	if _, err := r.region(ctx, chunkMax); err != nil {
		return 0, err
	}
	for carried := 0; ; {
		region := r.buf.data[r.buf.used:]
		want := min(int64(len(region)), limit-size+int64(carried))
		n, err := io.ReadFull(src, region[carried:want])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return size, err
		}
		size += int64(n)
		filled := carried + n
		last := err != nil || size == limit
		end, err := cut(region[:filled], last, func(n int) error { return c.chunk(ctx, r, n) })
		if err != nil || last {
			return size, err
		}
		if carried, err = r.carry(ctx, region[end:filled]); err != nil {
			return size, err
		}
	}
}

// runShort reads what is one chunk in any case.
func (r *reader) runShort(ctx context.Context, c *content, src io.Reader, limit int64) (size int64, err error) {
	region, err := r.region(ctx, int(limit))
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(src, region[:limit])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	}
	if n > 0 {
		err = c.chunk(ctx, r, n)
	} else {
		err = nil
	}
	return int64(n), err
}

// carry moves bytes that are no complete chunk yet to the front of a new buffer.
func (r *reader) carry(ctx context.Context, rest []byte) (int, error) {
	b, err := r.pool.get(ctx)
	if err != nil {
		return 0, err
	}
	n := copy(b.data, rest)
	r.retire()
	r.buf = b
	return n, nil
}

// stream reads an io.Reader to its end.
func (r *reader) stream(ctx context.Context, it *item, src io.Reader) error {
	c := newContent()
	size, err := r.run(ctx, c, src, math.MaxInt64/2)
	if err != nil {
		return err
	}
	it.entry.Size = uint64(size)
	return c.keep(ctx, r, it)
}
