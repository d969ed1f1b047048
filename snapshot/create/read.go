package create

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
)

// readAttempts is how often a file is read that changes meanwhile.
const readAttempts = 3

// job is content to read: one file, a bundle of small ones, a further name of a file, or a
// stream.
type job struct {
	files  []*dirent
	before *siblings // the name before
	stream io.Reader
}

// weight is how much of queuedFiles a job takes.
func (j *job) weight() int64 { return int64(min(len(j.files), queuedFiles)) }

// chunkJob is a chunk to hash and store. Its bytes lie in buf.
type chunkJob struct {
	data []byte
	buf  *buffer
	done func(block.ID) error
}

// reader is one goroutine's state of reading.
type reader struct {
	*creator
	buf *buffer   // being filled, or nil
	dir *fsys.Dir // the directory of the file before, or nil
	rel string    // its path

	probe [1]byte
}

// read works on jobs until there are no more.
func (c *creator) read(ctx context.Context) error {
	r := &reader{creator: c}
	defer r.close()
	for j := range c.jobs {
		c.queued.Release(j.weight())
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := r.job(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) close() {
	r.retire()
	if r.dir != nil {
		r.dir.Close()
	}
}

func (r *reader) retire() {
	if r.buf != nil {
		r.buf.release()
		r.buf = nil
	}
}

func (r *reader) job(ctx context.Context, j job) error {
	e := j.files[0]
	path := e.path()
	r.current.Store(&path)
	switch {
	case j.stream != nil:
		return r.stream(ctx, e, j.stream)
	case j.before != nil:
		return r.further(ctx, e, j.before)
	case len(j.files) == 1 && e.st.Size >= snapshot.SmallFile:
		return r.large(ctx, e)
	default:
		return r.bundle(ctx, j.files)
	}
}

// open opens a dirent's file, keeping its directory open for the next one.
func (r *reader) open(e *dirent) (int, error) {
	if r.dir == nil || r.rel != e.dir.rel {
		if r.dir != nil {
			r.dir.Close()
			r.dir = nil
		}
		dir, err := r.root.OpenDir(e.dir.rel)
		if err != nil {
			return -1, err
		}
		r.dir, r.rel = dir, e.dir.rel
	}
	return r.dir.OpenFile(e.name)
}

// drop leaves a dirent out and says why.
func (r *reader) drop(ctx context.Context, e *dirent, op string, err error) error {
	if errors.Is(err, ErrPrivate) {
		r.leaveOut(&r.left, e.path())
	} else {
		r.problem(e.path(), op, err)
	}
	e.dropped = true
	return r.complete(ctx, e)
}

// region returns the free part of the current buffer, at least n bytes of e.
func (r *reader) region(ctx context.Context, n int) ([]byte, error) {
	if r.buf != nil && bufferSize-r.buf.used < n {
		r.retire()
	}
	if r.buf == nil {
		b, err := r.pool.get(ctx)
		if err != nil {
			return nil, err
		}
		r.buf = b
	}
	return r.buf.data[r.buf.used:], nil
}

// take sends the first n bytes of the current region on as a chunk.
func (r *reader) take(ctx context.Context, n int, done func(block.ID) error) error {
	b := r.buf
	data := b.data[b.used : b.used+n : b.used+n]
	b.used += n
	b.retain()
	select {
	case r.chunks <- chunkJob{data: data, buf: b, done: done}:
		r.bytes.Add(int64(n))
		return nil
	case <-ctx.Done():
		b.release()
		return context.Cause(ctx)
	}
}

// hash names chunks and gives them to the sink until there are no more.
func (c *creator) hash(ctx context.Context) error {
	for j := range c.chunks {
		if c.blocks.Add(1) > maxBlocks {
			j.buf.release()
			return ErrTooManyBlocks
		}
		b := block.New(block.Raw, j.data)
		if err := c.sink.Add(ctx, b, j.buf.release); err != nil {
			return fmt.Errorf("store a chunk: %w", err)
		}
		if err := j.done(b.ID()); err != nil {
			return err
		}
	}
	return nil
}

// bundle reads small files into one chunk.
func (r *reader) bundle(ctx context.Context, files []*dirent) error {
	total := 0
	for _, e := range files {
		total += int(e.st.Size)
	}
	region, err := r.region(ctx, total)
	if err != nil {
		return err
	}
	var members, grown []*dirent
	n := 0
	for _, e := range files {
		m, op, err := r.small(e, region[n:total])
		switch {
		case errors.Is(err, errGrown):
			grown = append(grown, e)
			continue
		case err != nil:
			if err := r.drop(ctx, e, op, err); err != nil {
				return err
			}
			continue
		}
		if m > 0 {
			e.content = inChunk(n, m)
			n += m
		}
		members = append(members, e)
	}
	if err := r.finishBundle(ctx, members, n); err != nil {
		return err
	}
	for _, e := range grown {
		if err := r.large(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// finishBundle sends the bundle's bytes on and completes its members when they have a name.
func (r *reader) finishBundle(ctx context.Context, members []*dirent, n int) error {
	done := func(id block.ID) error {
		for _, e := range members {
			if len(e.content.extents) > 0 {
				e.content.name(id, n)
			}
			r.files.Add(1)
			if err := r.complete(ctx, e); err != nil {
				return err
			}
		}
		return nil
	}
	if n == 0 {
		return done(block.ID{})
	}
	return r.take(ctx, n, done)
}

// errGrown says that a small file has become too large for its place in the bundle.
var errGrown = errors.New("the file has grown")

// small reads one small file and returns its length.
func (r *reader) small(e *dirent, region []byte) (n int, op string, err error) {
	fd, err := r.open(e)
	if err != nil {
		return 0, "open", err
	}
	defer fsys.CloseRead(fd)
	r.generation(fd, e)
	for range readAttempts {
		if e.st.Size > int64(len(region)) || e.st.Size >= snapshot.SmallFile {
			return 0, "read", errGrown
		}
		if n, err = fsys.ReadAt(fd, region[:e.st.Size], 0); err != nil {
			return 0, "read", err
		}
		more := int64(n) == e.st.Size && r.goesOn(fd, e.st.Size)
		attrs := r.attributes(fd, e)
		unchanged, err := r.settle(fd, e)
		if err != nil {
			return 0, "stat", err
		}
		if unchanged && more {
			return 0, "read", errGrown
		}
		if unchanged {
			r.sized(e, int64(n))
			r.withoutAttributes(e, e.path(), attrs)
			return n, "", nil
		}
	}
	e.entry.Size = uint64(n)
	e.unsettled = true
	r.problem(e.path(), "read", ErrChanged)
	return n, "", nil
}

// goesOn reports whether a file, of which all that its size says was read, has more. Where
// that was nothing, an error is as good: it shows again when the file is read to its end.
func (r *reader) goesOn(fd int, size int64) bool {
	n, err := fsys.ReadAt(fd, r.probe[:], size)
	return n > 0 || err != nil && size == 0
}

// generation takes note of which file an inode number stands for, where it matters.
func (r *reader) generation(fd int, e *dirent) {
	if e.st.Nlink > 1 {
		e.generation = fsys.GenerationOf(fd)
	}
}

// attributes reads an open file's extended attributes, and returns what is wrong with them.
func (r *reader) attributes(fd int, e *dirent) (err error) {
	e.entry.Xattrs, err = xattrsOf(fsys.Xattrs(fd))
	return err
}

// settle reports whether a file is still as e.st says, and otherwise takes over its
// new state.
func (r *reader) settle(fd int, e *dirent) (unchanged bool, err error) {
	now, err := fsys.Fstat(fd)
	switch {
	case err != nil:
		return false, err
	case now.Same(&e.st):
		return true, nil
	case !now.IsRegular():
		return false, fmt.Errorf("%w: it is no regular file any more", ErrChanged)
	}
	return false, r.become(e, &now)
}
