package create

import (
	"context"
	"fmt"
	"sync"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// Several names of one file are read once and become one hard link group. That two names
// were one file when their directories were listed does not say that they are when they
// are read: meanwhile one may have been replaced by another file, which may even have got
// the inode number of a file that was deleted. So a name takes over what was read through
// the name before it only where its own open file shows the same inode, in the same state
// and of the same generation, as the file had when it was read to its end. Every other
// name is read by itself, and the names after it are held against it.

// siblings is what one name of a file with several is for the next of them.
type siblings struct {
	mu      sync.Mutex
	done    bool
	dropped bool
	aside   spooled // what the name is, once it is done and not dropped
	next    *dirent // the next name of the file, when it waits for this one
}

// end takes note of what a name has become, and returns the one that waits for it.
func (s *siblings) end(c *creator, e *dirent) (next *dirent, err error) {
	if s == nil {
		return nil, nil // the file has no other names
	}
	var aside spooled
	if !e.dropped {
		if aside, err = c.setAside(&e.record); err != nil {
			return nil, fmt.Errorf("%s: %w", e.path(), err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.dropped, s.aside = true, e.dropped, aside
	next, s.next = s.next, nil
	return next, nil
}

// before returns what the name before has become, nil if it was dropped. Each is asked
// for once, for the next name.
func (c *creator) before(s *siblings) (*record, error) {
	s.mu.Lock()
	aside, dropped := s.aside, s.dropped
	s.mu.Unlock()
	if dropped {
		return nil, nil
	}
	var buf []byte
	return c.takeBack(aside, &buf)
}

// inode names a file with several names.
type inode struct{ dev, ino uint64 }

// linked names what the names of one file have in common. A number that was used again, for
// something of another type, joins nothing: what was a regular file may be being read.
type linked struct {
	inode
	kind uint32
}

// linker knows the last name of each file with several names.
type linker struct {
	last map[linked]*siblings

	mu      sync.Mutex
	waiting int   // names that wait for the one before
	late    []job // names to be read for which the walk was not there
	wake    chan struct{}
}

func newLinker() *linker {
	return &linker{last: make(map[linked]*siblings), wake: make(chan struct{}, 1)}
}

// join returns the name before a name of the same file, if there is one, and has the next
// one find this one. Each name begins as a group of its own.
func (l *linker) join(e *dirent) (before *siblings) {
	key := linked{inode{e.st.Dev, e.st.Ino}, e.st.Type()}
	before = l.last[key]
	e.links = new(siblings)
	l.last[key] = e.links
	e.entry.Link = linkGroup(e.path())
	return before
}

// entry sends one dirent that is no directory on its way.
func (w *walker) entry(ctx context.Context, e *dirent) error {
	var before *siblings
	if e.st.Nlink > 1 {
		before = w.links.join(e)
		if err := w.late(ctx, maxWaiting); err != nil {
			return err
		}
	}
	switch {
	case e.entry.Type != manifest.File:
		w.withoutAttributes(e, e.path(), e.problem)
		if before != nil {
			first, err := w.before(before) // it is done: what has no content is not read
			if err != nil {
				return err
			}
			if alike(&first.entry, &e.entry) {
				e.entry.Link = first.entry.Link
			}
		}
		return w.complete(ctx, e)
	case before == nil:
		return w.file(ctx, e)
	}
	if err := w.behind(ctx); err != nil {
		return err
	}
	return w.follow(ctx, before, e)
}

// alike reports whether two entries that are no files can be names of one inode.
func alike(a, b *manifest.Entry) bool {
	x, y := *a, *b
	x.Link, y.Link = nil, nil
	return snapshot.SameFile(&x, &y)
}

// follow has a further name of a file decided once the name before it is complete.
func (w *walker) follow(ctx context.Context, before *siblings, e *dirent) error {
	before.mu.Lock()
	waits := !before.done
	if waits {
		w.links.mu.Lock()
		w.links.waiting++
		w.links.mu.Unlock()
		before.next = e
	}
	before.mu.Unlock()
	if waits {
		return nil
	}
	first, err := w.before(before)
	if err != nil {
		return err
	}
	adopted, err := w.adoptKnown(e, first)
	if err != nil {
		return err
	}
	if adopted {
		return w.complete(ctx, e)
	}
	return w.send(ctx, job{files: []*dirent{e}, before: before})
}

// adoptKnown gives a name what the cache knows of it, where that is what was read through
// the name before, and reports whether it is. The cache was once filled by this rule.
func (c *creator) adoptKnown(e *dirent, before *record) (adopted bool, err error) {
	if before == nil || before.unsettled || !before.st.Same(&e.st) || !e.known.usable() {
		return false, nil
	}
	content := before.content
	if err := c.load(&content); err != nil {
		return false, err
	}
	if !content.equal(&e.known.content) {
		return false, nil
	}
	c.adopt(e, before)
	c.reused.Add(1)
	return true, nil
}

// adopt gives a name what was read through another one of the same file.
func (c *creator) adopt(e *dirent, from *record) {
	name := e.entry.Name
	e.entry, e.st, e.content, e.partial, e.generation = from.entry, from.st, from.content, from.partial, from.generation
	e.entry.Name = name
	c.files.Add(1)
}

// settle takes note that a name waits no more, and leaves it to the walk to have it read
// if it must be.
func (l *linker) settle(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting--
	if j != nil {
		l.late = append(l.late, *j)
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// maxWaiting is how many names may wait for the one before: of a file with many names
// they come faster than one can be held against the other, and each takes a kilobyte.
const maxWaiting = 4096

// late sends what others have left to the walk, until so many names wait at most; when none
// does, nothing more will be left. Until a name is read its directory stays in memory with
// all that is in it, so it is called with each further name and not at the end alone. What
// is waited for does not wait for the walk: it is on its way, or left to be sent here, or
// collected with fewer than most names behind it.
func (w *walker) late(ctx context.Context, most int) error {
	for {
		w.links.mu.Lock()
		waiting, late := w.links.waiting, w.links.late
		w.links.late = nil
		w.links.mu.Unlock()
		for _, j := range late {
			if err := w.send(ctx, j); err != nil {
				return err
			}
		}
		if waiting <= most {
			return nil
		}
		select {
		case <-w.links.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// further reads a name of a file of which the name before is complete: not at all where
// its open file is still the one that was read.
func (r *reader) further(ctx context.Context, e *dirent, s *siblings) error {
	before, err := r.before(s)
	if err != nil {
		return err
	}
	fd, err := r.open(e)
	if err != nil {
		return r.drop(ctx, e, "open", err)
	}
	defer fsys.CloseRead(fd)
	now, err := fsys.Fstat(fd)
	if err != nil {
		return r.drop(ctx, e, "stat", err)
	}
	if before != nil && !before.unsettled && now.Same(&before.st) && fsys.GenerationOf(fd).Is(before.generation) {
		r.adopt(e, before)
		return r.complete(ctx, e)
	}
	if !now.IsRegular() {
		return r.drop(ctx, e, "read", ErrChanged)
	}
	if err := r.become(e, &now); err != nil {
		return r.drop(ctx, e, "stat", err)
	}
	return r.whole(ctx, e, fd)
}

// become takes over what a regular file is now. It keeps its place in its group only if
// it is still the file of which the names were found, and none in the snapshot if what has
// come to its name is private.
func (c *creator) become(e *dirent, now *fsys.Stat) error {
	if c.private.has(now) {
		return ErrPrivate
	}
	link, attrs := e.entry.Link, e.entry.Xattrs
	if now.Nlink < 2 || now.Dev != e.st.Dev || now.Ino != e.st.Ino {
		link = nil
	}
	e.st = *now
	e.entry = entryOf(e.name, now, c.owners)
	e.entry.Link, e.entry.Xattrs = link, attrs
	return nil
}
