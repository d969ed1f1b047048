package create

import (
	"context"
	"slices"
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

// names is what a file with several names knows of the others.
type names struct {
	mu   sync.Mutex
	done bool
	next *item // the next name of the file, when it waits for this one

	// generation is the open file's when it was read: file systems that have it change it
	// when they use an inode number again. Once done it does not change.
	generation fsys.Generation
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
	last map[linked]*item

	mu      sync.Mutex
	waiting int   // names that wait for the one before
	late    []job // names to be read for which the walk was not there
	wake    chan struct{}
}

func newLinker() *linker {
	return &linker{last: make(map[linked]*item), wake: make(chan struct{}, 1)}
}

// join returns the name before a name of the same file, if there is one, and has the next
// one find this one. Each name begins as a group of its own.
func (l *linker) join(it *item) (before *item) {
	key := linked{inode{it.st.Dev, it.st.Ino}, it.st.Type()}
	before = l.last[key]
	l.last[key] = it
	it.entry.Link = linkGroup(it.path())
	return before
}

// item sends one entry that is no directory on its way.
func (w *walker) item(ctx context.Context, it *item) error {
	var before *item
	if it.st.Nlink > 1 {
		before = w.links.join(it)
		if _, err := w.late(ctx); err != nil {
			return err
		}
	}
	switch {
	case it.entry.Type != manifest.File:
		w.withoutAttributes(it, it.path(), it.problem)
		if before != nil && alike(&before.entry, &it.entry) {
			it.entry.Link = before.entry.Link
		}
		return w.complete(ctx, it)
	case before == nil:
		return w.file(ctx, it)
	}
	return w.follow(ctx, before, it)
}

// alike reports whether two entries that are no files can be names of one inode.
func alike(a, b *manifest.Entry) bool {
	x, y := *a, *b
	x.Link, y.Link = nil, nil
	return snapshot.SameFile(&x, &y)
}

// follow has a further name of a file decided once the name before it is complete.
func (w *walker) follow(ctx context.Context, before, it *item) error {
	before.mu.Lock()
	waits := !before.done
	if waits {
		w.links.mu.Lock()
		w.links.waiting++
		w.links.mu.Unlock()
		before.next = it
	}
	before.mu.Unlock()
	if waits {
		return nil
	}
	if w.known(before, it) {
		return w.complete(ctx, it)
	}
	return w.send(ctx, job{items: []*item{it}, before: before})
}

// known gives a name what the cache knows of it, where that is what was read through the
// name before, and reports whether it is. The cache was once filled by this rule.
func (c *creator) known(before, it *item) bool {
	cached := it.dir.known.file(it)
	if cached == nil || before.dropped || before.unsettled || !before.st.Same(&it.st) || !slices.Equal(before.pieces, cached.pieces) {
		return false
	}
	c.adopt(it, before)
	c.reused.Add(1)
	return true
}

// adopt gives a name what was read through another one of the same file.
func (c *creator) adopt(it, from *item) {
	name := it.entry.Name
	it.entry, it.st, it.pieces, it.partial, it.generation = from.entry, from.st, from.pieces, from.partial, from.generation
	it.entry.Name = name
	c.files.Add(1)
}

// complete marks an item as done, and what waits for it.
func (c *creator) complete(ctx context.Context, it *item) error {
	for {
		it.mu.Lock()
		it.done = true
		next := it.next
		it.next = nil
		it.mu.Unlock()
		if err := c.release(ctx, it.dir); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		if !c.known(it, next) {
			c.links.settle(&job{items: []*item{next}, before: it})
			return nil
		}
		c.links.settle(nil)
		it = next
	}
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

// late sends what others have left to the walk, and reports whether no name waits any
// more, so that nothing more will be left. Until a name is read its directory stays in memory with all that
// is in it, so it is called with each further name and not at the end alone.
func (w *walker) late(ctx context.Context) (all bool, err error) {
	w.links.mu.Lock()
	waiting, late := w.links.waiting, w.links.late
	w.links.late = nil
	w.links.mu.Unlock()
	for _, j := range late {
		if err := w.send(ctx, j); err != nil {
			return false, err
		}
	}
	return waiting == 0, nil
}

// rest does so until no name waits any more.
func (w *walker) rest(ctx context.Context) error {
	for {
		if all, err := w.late(ctx); err != nil || all {
			return err
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
func (r *reader) further(ctx context.Context, it, before *item) error {
	fd, err := r.open(it)
	if err != nil {
		return r.drop(ctx, it, "open", err)
	}
	defer fsys.CloseRead(fd)
	now, err := fsys.Fstat(fd)
	if err != nil {
		return r.drop(ctx, it, "stat", err)
	}
	if !before.dropped && !before.unsettled && now.Same(&before.st) && fsys.GenerationOf(fd).Is(before.generation) {
		r.adopt(it, before)
		return r.complete(ctx, it)
	}
	if !now.IsRegular() {
		return r.drop(ctx, it, "read", ErrChanged)
	}
	it.become(&now, r.owners)
	return r.whole(ctx, it, fd)
}

// become takes over what a regular file is now. It keeps its place in its group only if
// it is still the file of which the names were found.
func (it *item) become(now *fsys.Stat, owners *owners) {
	link, attrs := it.entry.Link, it.entry.Xattrs
	if now.Nlink < 2 || now.Dev != it.st.Dev || now.Ino != it.st.Ino {
		link = nil
	}
	it.st = *now
	it.entry = entryOf(it.name, now, owners)
	it.entry.Link, it.entry.Xattrs = link, attrs
}
