package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// writer is one goroutine's state of writing.
type writer struct {
	*restorer
	buf []byte    // for chunks
	dir *fsys.Dir // the directory of the file before, or nil
	rel string
}

// write works on tasks until there are no more.
func (r *restorer) write(ctx context.Context) error {
	w := &writer{restorer: r, buf: make([]byte, 0, block.MaxSize)}
	defer w.close()
	for t := range r.tasks {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.task(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) close() {
	if w.dir != nil {
		w.dir.Close()
		w.dir = nil
	}
}

// open returns the directory a file belongs in, which stays open for the next file.
func (w *writer) open(d *directory) (*fsys.Dir, error) {
	if w.dir == nil || w.rel != d.rel {
		w.close()
		dir, err := w.target.OpenDir(d.rel)
		if err != nil {
			return nil, fmt.Errorf("open %q: %w", d.rel, err)
		}
		w.dir, w.rel = dir, d.rel
	}
	return w.dir, nil
}

func (w *writer) task(ctx context.Context, t task) error {
	path := t.outputs[0].path()
	w.current.Store(&path)
	if t.chunk.IsZero() {
		o := t.outputs[0]
		return w.file(ctx, o, func(fd int) error { return w.content(ctx, fd, o) })
	}
	b, err := w.get(ctx, t.chunk)
	for _, o := range t.outputs {
		if err != nil {
			if err := w.failed(ctx, o, err); err != nil {
				return err
			}
			continue
		}
		if err := w.file(ctx, o, func(fd int) error {
			data, err := snapshot.ExtentBytes(o.entry.Extents[0], b)
			if err != nil {
				return err
			}
			return fsys.WriteAt(fd, data, 0)
		}); err != nil {
			return err
		}
	}
	return nil
}

// sourceError marks errors of reading the snapshot, as against writing the target.
type sourceError struct{ error }

// Unwrap returns the cause.
func (e sourceError) Unwrap() error { return e.error }

// get reads a chunk; its bytes are valid until the next call.
func (w *writer) get(ctx context.Context, id block.ID) (block.Block, error) {
	b, err := w.tree.Get(ctx, id, w.buf)
	if err != nil {
		return b, sourceError{fmt.Errorf("read chunk %s: %w", id, err)}
	}
	return b, nil
}

// failed ends an output whose content cannot be had. It returns what ends the restore.
func (r *restorer) failed(ctx context.Context, o *output, err error) error {
	if ctx.Err() != nil || !r.opts.KeepGoing || errors.Is(err, snapshot.ErrManifest) {
		return fmt.Errorf("%q: %w", o.path(), err)
	}
	r.problem(o.path(), "restore", err)
	return r.done(ctx, o, true)
}

// content writes a file's extents and leaves out its holes.
func (w *writer) content(ctx context.Context, fd int, o *output) error {
	off, hole := int64(0), false
	for x, err := range w.tree.Extents(ctx, o.entry) {
		if err != nil {
			return sourceError{err}
		}
		if hole = x.Hole(); !hole {
			b, err := w.get(ctx, x.Chunk.ID)
			if err != nil {
				return err
			}
			data, err := snapshot.ExtentBytes(x, b)
			if err != nil {
				return err
			}
			if err := fsys.WriteAt(fd, data, off); err != nil {
				return err
			}
		}
		off += int64(x.Length)
	}
	if hole {
		return fsys.Truncate(fd, off)
	}
	return nil
}

// file restores one file: under a temporary name until fill has written its content
// and its attributes are set, and its batch is durable.
func (w *writer) file(ctx context.Context, o *output, fill func(fd int) error) error {
	dir, err := w.open(o.in)
	if err != nil {
		return err
	}
	fd, temp, err := w.create(dir, o)
	if err != nil {
		return w.unmade(ctx, o, err)
	}
	return w.finish(ctx, dir, fd, temp, o, fill(fd), false)
}

// create makes a file under a temporary name.
func (r *restorer) create(dir *fsys.Dir, o *output) (fd int, temp string, err error) {
	for {
		temp = r.tempName()
		fd, err = dir.CreateFile(temp, r.createMode(o.entry))
		if !errors.Is(err, unix.EEXIST) {
			return fd, temp, err
		}
	}
}

func (r *restorer) tempName() string {
	return tempPrefix + strconv.FormatUint(r.temp.Add(1), 36)
}

// createMode is the mode to make a file with: no more than it will have, and such
// that its extended attributes can be set.
func (r *restorer) createMode(e *snapshot.Entry) uint32 {
	mode := r.mode(e) & 0o777
	if !(uint64(r.euid) == e.UID && uint64(r.egid) == e.GID) {
		mode &= 0o700
	}
	if len(e.Xattrs) > 0 {
		mode |= 0o200
	}
	return mode
}

// finish gives a written file its attributes, or removes it when err, the outcome of
// writing, is not nil. One that is synced by itself gets its name at once, any other
// with its batch.
func (r *restorer) finish(ctx context.Context, dir *fsys.Dir, fd int, temp string, o *output, err error, sync bool) error {
	if err == nil {
		r.fileAttributes(fd, o)
		if sync && !r.opts.NoSync {
			err = fsys.Sync(fd)
		}
	}
	if cerr := fsys.Close(fd); err == nil {
		err = cerr
	}
	if err != nil {
		return r.unwritten(ctx, dir, temp, o, err)
	}
	r.setTime(dir, temp, o)
	r.bytes.Add(int64(o.entry.Size))
	if sync {
		return r.name(ctx, dir, temp, o)
	}
	return r.publish(ctx, r.small.add(unpublished{o, temp}))
}

// done ends an output, and makes the further names of a hard link.
func (r *restorer) done(ctx context.Context, o *output, failed bool) error {
	if g := o.link; g != nil {
		g.mu.Lock()
		g.done, g.failed = true, failed
		waiters := g.waiters
		g.waiters = nil
		g.mu.Unlock()
		for _, other := range waiters {
			if err := r.further(ctx, g, other); err != nil {
				return err
			}
		}
	}
	return r.leave(o.in)
}

// leave counts down what a directory waits for, and sets the attributes of those
// that are complete, upwards.
func (r *restorer) leave(d *directory) error {
	for d != nil && d.pending.Add(-1) == 0 {
		r.tellLack(d)
		if mode, opened := r.forget(d.rel); !d.keeps {
			r.directoryAttributes(d)
		} else if opened {
			r.shutAgain(d.rel, mode)
		}
		d.entry = nil // links may hold on to the directory
		d = d.parent
	}
	return nil
}

// further makes a further name of a hard link, as soon as the first is complete. Where that
// could not be made, this one takes its place, and the others wait for it.
func (r *restorer) further(ctx context.Context, g *linkGroupState, o *output) error {
	g.mu.Lock()
	if g.done && g.failed {
		g.lead(o)
		g.mu.Unlock()
		return r.again(ctx, o)
	}
	if !g.done {
		g.waiters = append(g.waiters, o)
		g.mu.Unlock()
		return nil
	}
	in, name := g.in, g.name
	g.mu.Unlock()
	return r.linkTo(ctx, g, in, name, o)
}

// lead makes a name the first of its group. mu is held.
func (g *linkGroupState) lead(o *output) {
	g.in, g.name, g.done, g.failed = o.in, string(o.entry.Name), false, false
	o.link = g
}

// linkTo makes a further name of a hard link whose first name is complete. Where the
// target cannot, the file is written once more.
func (r *restorer) linkTo(ctx context.Context, g *linkGroupState, in *directory, first string, o *output) error {
	from, err := r.target.OpenDir(in.rel)
	if err != nil {
		return fmt.Errorf("open %q: %w", in.rel, err)
	}
	defer from.Close()
	to, err := r.target.OpenDir(o.in.rel)
	if err != nil {
		return fmt.Errorf("open %q: %w", o.in.rel, err)
	}
	defer to.Close()
	err = from.Link(first, to, string(o.entry.Name))
	if errors.Is(err, unix.EEXIST) {
		if err = r.relink(ctx, from, first, to, o); err == nil {
			return r.leave(o.in)
		}
	} else if err == nil {
		r.countName(o)
		return r.leave(o.in)
	}
	if !r.refused(err) || errors.Is(err, ErrNameTaken) {
		return r.unmade(ctx, o, err)
	}
	if r.bars(o.in, err) {
		return r.leave(o.in)
	}
	r.problem(o.path(), "link", fmt.Errorf("%w; it is a file of its own", err))
	if errors.Is(err, unix.EMLINK) {
		// The first has as many names as it can have: those that follow have room at this one.
		g.mu.Lock()
		if g.done && g.in == in && g.name == first {
			g.lead(o)
		}
		g.mu.Unlock()
	}
	return r.again(ctx, o)
}

// again restores a further name of a hard link as a file of its own, unless it is there.
func (r *restorer) again(ctx context.Context, o *output) error {
	dir, err := r.target.OpenDir(o.in.rel)
	if err != nil {
		return fmt.Errorf("open %q: %w", o.in.rel, err)
	}
	defer dir.Close()
	if o.there {
		keep, skipped, err := r.keep(ctx, dir, o)
		switch {
		case err != nil:
			return err
		case keep, skipped: // no other name is linked to what is left alone
			return r.done(ctx, o, skipped)
		}
		o.over = true
	}
	if o.entry.Type != manifest.File {
		made, err := r.special(dir, o)
		return errors.Join(err, r.done(ctx, o, !made))
	}
	w := &writer{restorer: r}
	defer w.close()
	return w.file(ctx, o, func(fd int) error { return w.content(ctx, fd, o) })
}

// refused reports whether an error is of one entry: the target cannot hold it, or does not
// let this user make it. The rest goes on. A full disk is everybody's, and so is one that
// fails.
func (r *restorer) refused(err error) bool {
	if errors.Is(err, snapshot.ErrManifest) {
		return false
	}
	var source sourceError
	return !errors.As(err, &source) && (errors.Is(err, ErrNameTaken) || slices.ContainsFunc(refusals, func(no unix.Errno) bool { return errors.Is(err, no) }))
}

// refusals are what file systems say of what they do not hold or permit.
var refusals = []unix.Errno{
	unix.EPERM, unix.EACCES, unix.EINVAL, unix.ENOTSUP, unix.ENOSYS, unix.ENAMETOOLONG, unix.EILSEQ,
	unix.EMLINK, unix.EXDEV, unix.EFBIG, unix.ELOOP, unix.ENODEV, unix.ENXIO, unix.EISDIR, unix.ENOTDIR,
	unix.EEXIST, unix.EBUSY, unix.ETXTBSY, unix.EOVERFLOW, unix.EPROTO, unix.ENOENT,
}

// taken says of a name that is there what that means.
func taken(err error) error {
	if errors.Is(err, unix.EEXIST) {
		return ErrNameTaken
	}
	return err
}

// unmade ends an output that could not be made. It returns what ends the restore.
func (r *restorer) unmade(ctx context.Context, o *output, err error) error {
	if !r.refused(err) {
		return fmt.Errorf("write %q: %w", o.path(), err)
	}
	r.refusal(o.in, o.path(), "write", taken(err))
	return r.done(ctx, o, true)
}

func (r *restorer) countName(o *output) {
	if o.entry.Type == manifest.File {
		r.files.Add(1)
	} else {
		r.others.Add(1)
	}
}

// relink deals with a further name that exists already. Only what was found under this
// very name gives way to the link: another one may be a file of this snapshot, on a file
// system that does not tell upper from lower case, even this one under its first name.
func (r *restorer) relink(ctx context.Context, from *fsys.Dir, first string, to *fsys.Dir, o *output) error {
	if !o.there {
		return ErrNameTaken
	}
	name := string(o.entry.Name)
	a, err := from.Lstat(first)
	if err != nil {
		return fmt.Errorf("stat %q: %w", first, err)
	}
	b, err := to.Lstat(name)
	if err != nil {
		return fmt.Errorf("stat %q: %w", o.path(), err)
	}
	same, err := r.complete(ctx, to, o)
	switch {
	case err != nil:
		return err
	case a.Dev == b.Dev && a.Ino == b.Ino, same && r.opts.Existing == Skip:
		r.present.Add(1)
		return nil
	case !same && r.opts.Existing == Skip:
		r.skipped.Add(1)
		return nil
	case !same && r.opts.Existing == Refuse, b.IsDir():
		return ErrNameTaken
	}
	temp := r.tempName()
	if err := from.Link(first, to, temp); err != nil {
		return err
	}
	if err := to.Rename(temp, name, true); err != nil {
		return errors.Join(err, to.Unlink(temp))
	}
	r.countName(o)
	return nil
}
