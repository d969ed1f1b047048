package restore

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

const (
	largeFile    = 8 << 20 // files from this size on are written past the page cache
	directBuffer = 4 << 20
	directCount  = 3
	readAhead    = 8 // chunks of a large file in memory
)

// writeLarges restores large files one after the other: each by itself keeps all
// cores and the disk busy.
func (r *restorer) writeLarges(ctx context.Context) error {
	w := &writer{restorer: r, buf: make([]byte, 0, block.MaxSize)}
	defer w.close()
	l := &largeWriter{writer: w, pool: durable.NewAlignedPool(directBuffer, directCount)}
	for range readAhead {
		l.chunks = append(l.chunks, nil)
	}
	for t := range r.larges {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), l.pool.Trim())
		}
		path := t.outputs[0].path()
		r.current.Store(&path)
		if err := l.file(ctx, t.outputs[0]); err != nil {
			return errors.Join(err, l.pool.Trim())
		}
	}
	return l.pool.Trim()
}

// largeWriter keeps buffers from one large file to the next.
type largeWriter struct {
	*writer
	pool   *durable.AlignedPool
	chunks [][]byte
}

// fetched is a chunk on its way.
type fetched struct {
	extent manifest.Extent
	block  block.Block
	buf    []byte
	err    error
	ready  chan struct{}
}

func (l *largeWriter) file(ctx context.Context, o *output) error {
	sparse, err := l.sparse(ctx, o.entry)
	if err != nil {
		return fmt.Errorf("%q: %w", o.path(), err)
	}
	if sparse {
		return l.writer.file(ctx, o, func(fd int) error { return l.content(ctx, fd, o) })
	}
	dir, err := l.open(o.in)
	if err != nil {
		return err
	}
	fd, temp, direct, err := l.createDirect(dir, o)
	if err != nil {
		return l.unmade(ctx, o, err)
	}
	err = fsys.Preallocate(fd, int64(o.entry.Size))
	if err == nil {
		err = l.pipeline(ctx, fd, direct, o.entry)
	}
	return l.finish(ctx, dir, fd, temp, o, err, true)
}

func (l *largeWriter) createDirect(dir *fsys.Dir, o *output) (fd int, temp string, direct bool, err error) {
	for {
		temp = l.tempName()
		fd, direct, err = dir.CreateDirect(temp, l.createMode(o.entry))
		if !errors.Is(err, unix.EEXIST) {
			return fd, temp, direct, err
		}
	}
}

func (l *largeWriter) sparse(ctx context.Context, e *snapshot.Entry) (bool, error) {
	for x, err := range l.tree.Extents(ctx, e) {
		if err != nil || x.Hole() {
			return true, err
		}
	}
	return false, nil
}

// pipeline reads chunks ahead in parallel, joins them in order in aligned buffers,
// and writes those in a stage of its own.
func (l *largeWriter) pipeline(ctx context.Context, fd int, direct bool, e *snapshot.Entry) error {
	g, ctx := errgroup.WithContext(ctx)
	ordered := make(chan *fetched, readAhead)
	free := make(chan []byte, readAhead)
	for _, b := range l.chunks {
		free <- b
	}
	full := make(chan []byte, 1)
	g.Go(func() error {
		defer close(ordered)
		return l.fetch(ctx, g, e, free, ordered)
	})
	g.Go(func() error {
		defer close(full)
		return l.join(ctx, ordered, free, full)
	})
	g.Go(func() error { return l.drain(fd, direct, full) })
	if err := g.Wait(); err != nil {
		for buf := range full {
			err = errors.Join(err, l.pool.Put(buf[:directBuffer]))
		}
		return err
	}
	for i := range l.chunks {
		l.chunks[i] = <-free
	}
	return fsys.Truncate(fd, int64(e.Size))
}

// fetch asks for chunks in order, as many at a time as there are free buffers.
func (l *largeWriter) fetch(ctx context.Context, g *errgroup.Group, e *snapshot.Entry, free <-chan []byte, ordered chan<- *fetched) error {
	for x, err := range l.tree.Extents(ctx, e) {
		if err != nil {
			return sourceError{err}
		}
		f := &fetched{extent: x, ready: make(chan struct{})}
		select {
		case f.buf = <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if f.buf == nil {
			f.buf = make([]byte, 0, block.MaxSize)
		}
		g.Go(func() error {
			defer close(f.ready)
			f.block, f.err = l.tree.Get(ctx, x.Chunk.ID, f.buf)
			return nil
		})
		ordered <- f // has room for as many as there are buffers
	}
	return nil
}

// join copies chunks one after the other into aligned buffers.
func (l *largeWriter) join(ctx context.Context, ordered <-chan *fetched, free chan<- []byte, full chan<- []byte) (err error) {
	var out []byte
	defer func() {
		if out != nil {
			err = errors.Join(err, l.pool.Put(out[:directBuffer]))
		}
	}()
	pass := func() error {
		select {
		case full <- out:
			out = nil
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for f := range ordered {
		<-f.ready
		if f.err != nil {
			return sourceError{fmt.Errorf("read chunk %s: %w", f.extent.Chunk.ID, f.err)}
		}
		data, err := snapshot.ExtentBytes(f.extent, f.block)
		if err != nil {
			return err
		}
		for len(data) > 0 {
			if out == nil {
				if out, err = l.pool.Get(); err != nil {
					return err
				}
				out = out[:0]
			}
			n := min(len(data), directBuffer-len(out))
			out = append(out, data[:n]...)
			if data = data[n:]; len(out) == directBuffer {
				if err := pass(); err != nil {
					return err
				}
			}
		}
		free <- f.buf
	}
	if len(out) > 0 {
		return pass()
	}
	return nil
}

// drain writes buffers. The last one is filled up with zeros to the alignment; the
// file is cut to its length afterwards.
func (l *largeWriter) drain(fd int, direct bool, full <-chan []byte) error {
	off := int64(0)
	for buf := range full {
		n := len(buf)
		if direct {
			n = (n + fsys.Align - 1) / fsys.Align * fsys.Align
			clear(buf[len(buf):n])
		}
		err := fsys.WriteAt(fd, buf[:n], off)
		if err := errors.Join(err, l.pool.Put(buf[:directBuffer])); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}
