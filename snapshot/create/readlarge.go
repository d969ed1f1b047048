package create

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/decube/decube/snapshot/fsys"
)

// large reads a file that has chunks of its own.
func (r *reader) large(ctx context.Context, e *dirent) error {
	fd, err := r.open(e)
	if err != nil {
		return r.drop(ctx, e, "open", err)
	}
	defer fsys.CloseRead(fd)
	return r.whole(ctx, e, fd)
}

// whole reads an open file until it has not changed meanwhile.
func (r *reader) whole(ctx context.Context, e *dirent, fd int) error {
	fsys.Sequential(fd)
	r.generation(fd, e)
	toEnd := false
	for attempt := 1; ; attempt++ {
		l := newLayout(r.creator)
		size, err := r.attempt(ctx, l, fd, &e.st, toEnd)
		if err != nil {
			l.leave()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return r.drop(ctx, e, "read", err)
		}
		attrs := r.attributes(fd, e)
		unchanged, err := r.settle(fd, e)
		if err != nil {
			return r.drop(ctx, e, "stat", err)
		}
		if !unchanged && attempt < readAttempts {
			l.leave()
			continue
		}
		if unchanged && !toEnd && size == e.st.Size && r.goesOn(fd, size) {
			toEnd = true // the size says less than there is
			l.leave()
			continue
		}
		if unchanged {
			r.sized(e, size)
		} else {
			e.entry.Size = uint64(size)
			e.unsettled = true
			r.problem(e.path(), "read", ErrChanged)
		}
		r.withoutAttributes(e, e.path(), attrs)
		return l.keep(ctx, r, e)
	}
}

// maxUnsized is how many bytes more than its size says are read of a file.
const maxUnsized = 1 << 30

// attempt reads a file once and returns how long it found it: holes as holes up to its
// size, or to its end as it comes.
func (r *reader) attempt(ctx context.Context, l *layout, fd int, st *fsys.Stat, toEnd bool) (size int64, err error) {
	if toEnd {
		if size, err = r.run(ctx, l, &fsys.Reader{Fd: fd, Most: 64 << 10}, st.Size+maxUnsized+1); size > st.Size+maxUnsized {
			err = errors.Join(err, ErrEndless)
		}
		return size, err
	}
	if st.Blocks*512 >= st.Size {
		return r.run(ctx, l, &fsys.Reader{Fd: fd}, st.Size)
	}
	for size < st.Size {
		start, end, err := fsys.Data(fd, size, st.Size)
		if err != nil {
			return size, err
		}
		if err := l.hole(ctx, start-size); err != nil {
			return size, err
		}
		n, err := r.run(ctx, l, &fsys.Reader{Fd: fd, Off: start}, end-start)
		size = start + n
		if err != nil || n < end-start {
			return size, err
		}
	}
	return size, nil
}

// run cuts up to limit bytes of src into chunks and returns their number.
func (r *reader) run(ctx context.Context, l *layout, src io.Reader, limit int64) (size int64, err error) {
	if limit <= chunkMin {
		return r.runShort(ctx, l, src, limit)
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
		end, err := cut(region[:filled], last, func(n int) error { return l.chunk(ctx, r, n) })
		if err != nil || last {
			return size, err
		}
		if carried, err = r.carry(ctx, region[end:filled]); err != nil {
			return size, err
		}
	}
}

// runShort reads what is one chunk in any case.
func (r *reader) runShort(ctx context.Context, l *layout, src io.Reader, limit int64) (size int64, err error) {
	region, err := r.region(ctx, int(limit))
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(src, region[:limit])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	}
	if n > 0 {
		err = l.chunk(ctx, r, n)
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
func (r *reader) stream(ctx context.Context, e *dirent, src io.Reader) error {
	l := newLayout(r.creator)
	size, err := r.run(ctx, l, src, math.MaxInt64/2)
	if err != nil {
		return err
	}
	e.entry.Size = uint64(size)
	return l.keep(ctx, r, e)
}
