package create

import (
	"context"
	"errors"
	"slices"
	"sort"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/ignore"
	"github.com/decube/decube/snapshot/manifest"
)

// scanAhead is how many directories next to the current one are listed in advance.
const scanAhead = 16

// listing is what one look at a directory gave.
type listing struct {
	st      fsys.Stat
	xattrs  []manifest.Xattr
	problem error   // with the attributes
	items   []*item // in order of name
	ignore  []byte  // content of the directory's IgnoreFile
	err     error
	op      string
	cache   bool // it says that it is one, and caches are to be left out
	private bool // it has the mark of what no snapshot holds
	ready   chan struct{}
}

// walker goes through the tree in the order that bundles and the index follow: in
// each directory first what is no directory, then the directories, by name.
type walker struct {
	*creator
	slots   chan struct{} // bounds listings in progress
	bundle  bundle
	dev     uint64 // file system of the top
	clocks  *clocks
	looking sync.WaitGroup
}

func (c *creator) walk(ctx context.Context, file string) error {
	w := &walker{creator: c, slots: make(chan struct{}, 4), clocks: newClocks(c.started)}
	defer w.looking.Wait()
	var err error
	if file != "" {
		err = w.single(ctx, file)
	} else {
		err = w.directory(ctx, w.list(ctx, ""), &directory{}, nil)
	}
	if err != nil {
		return err
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	return w.rest(ctx)
}

// single walks a tree of one regular file.
func (w *walker) single(ctx context.Context, name string) error {
	d := &directory{share: new(share)}
	w.shares = append(w.shares, d.share)
	st, err := w.root.Lstat(name)
	if err != nil {
		return err
	}
	it := &item{dir: d, name: name, st: st, entry: entryOf(name, &st, w.owners)}
	d.items = []*item{it}
	d.pending.Store(1)
	return w.file(ctx, it)
}

// list starts looking at a directory.
func (w *walker) list(ctx context.Context, rel string) *listing {
	l := &listing{ready: make(chan struct{})}
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		l.err, l.op = context.Cause(ctx), "list"
		close(l.ready)
		return l
	}
	w.looking.Go(func() {
		defer close(l.ready)
		defer func() { <-w.slots }()
		l.op, l.err = l.look(w.creator, rel)
	})
	return l
}

// look lists a directory and the state of what is in it.
func (l *listing) look(c *creator, rel string) (op string, err error) {
	dir, err := c.root.OpenDir(rel)
	if err != nil {
		return "open", err
	}
	defer dir.Close()
	if l.st, err = dir.Stat(); err != nil {
		return "stat", err
	}
	l.xattrs, l.problem = xattrsOf(fsys.Xattrs(dir.Fd()))
	names, err := dir.Names()
	if err != nil {
		return "list", err
	}
	sort.Strings(names)
	l.cache = c.opts.NoCaches && slices.Contains(names, cacheTag) && isCache(dir)
	l.private = c.opts.marks(func(name string) bool { _, has := slices.BinarySearch(names, name); return has })
	slab := make([]item, len(names))
	l.items = make([]*item, 0, len(names))
	prefix := ""
	if rel != "" {
		prefix = rel + "/"
	}
	for i, name := range names {
		it := &slab[i]
		it.name = name
		if len(name) > manifest.MaxName {
			c.problem(prefix+name, "take", ErrLongName)
			continue
		}
		if op, err := it.look(c, dir); err != nil {
			if !errors.Is(err, errGone) {
				c.problem(prefix+name, op, err)
			}
			continue
		}
		l.items = append(l.items, it)
		if name == IgnoreFile && it.st.IsRegular() && !c.opts.NoIgnoreFiles {
			if l.ignore, err = readIgnoreFile(dir); err != nil {
				c.problem(prefix+name, "read", err)
			}
		}
	}
	return "", nil
}

// errGone says that a name is not there any more.
var errGone = errors.New("gone since it was listed")

// look reads what an item is, all but the content and attributes of regular files
// and the attributes of directories. That a name is gone only its stat can say: other
// calls miss other things, such as /proc.
func (it *item) look(c *creator, dir *fsys.Dir) (op string, err error) {
	for range readAttempts {
		it.st, err = dir.Lstat(it.name)
		switch {
		case errors.Is(err, unix.ENOENT):
			return "stat", errGone
		case err != nil:
			return "stat", err
		}
		if c.opts.NoDump {
			it.st.NoDump = dir.NoDump(it.name)
		}
		it.entry = entryOf(it.name, &it.st, c.owners)
		if it.st.IsRegular() || it.st.IsDir() || it.st.Type() == unix.S_IFSOCK {
			return "", nil
		}
		var target, attrs error
		if it.entry.Type == manifest.Symlink {
			it.entry.Target, target = dir.Readlink(it.name)
		}
		it.entry.Xattrs, attrs = xattrsOf(dir.Xattrs(it.name))
		// What was read by name is of this stat only if the name is what it was.
		now, err := dir.Lstat(it.name)
		if err == nil && now.Same(&it.st) {
			if target != nil {
				return "read link", target
			}
			it.problem = attrs
			return "", nil
		}
	}
	return "read", ErrChanged
}

// directory walks one directory whose listing was begun. self is its entry in the
// directory above, nil for the top.
func (w *walker) directory(ctx context.Context, l *listing, d *directory, self *item) error {
	select {
	case <-l.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if l.err != nil {
		if self == nil {
			return l.err
		}
		w.problem(d.rel, l.op, l.err)
		self.dropped = true
		return w.complete(ctx, self)
	}
	if l.private && self != nil {
		w.leaveOut(&w.left, d.rel)
		self.dropped = true
		return w.complete(ctx, self)
	}
	if self == nil {
		w.dev = l.st.Dev
		self = &item{}
	}
	self.st = l.st
	self.entry = entryOf(self.name, &l.st, w.owners)
	self.entry.Xattrs = l.xattrs
	w.withoutAttributes(self, d.rel, l.problem)
	d.self, d.share = self, new(share)
	d.known = w.cache.dir(d.rel)
	d.clock = w.clocks.reached(l, func() bool { return w.ownClock(d.rel) })
	w.shares = append(w.shares, d.share)
	w.ignore.Push(d.rel, ignore.Parse(l.ignore))
	defer w.ignore.Pop()
	subs := w.choose(d, l)
	d.pending.Store(int64(len(d.items)) + 1)
	for _, it := range d.items {
		if it.entry.Type == manifest.Dir {
			continue
		}
		if err := w.item(ctx, it); err != nil {
			return err
		}
	}
	if err := w.subdirectories(ctx, d, subs); err != nil {
		return err
	}
	return w.release(ctx, d)
}

// choose sets the directory's items, without what is excluded or has no place in a
// snapshot, and returns those that are directories.
func (w *walker) choose(d *directory, l *listing) (subs []*item) {
	for _, it := range l.items {
		it.dir = d
		if w.ignore.Excluded(d.rel, it.name, it.st.IsDir()) {
			continue
		}
		switch {
		case w.private.has(&it.st):
			w.leaveOut(&w.left, it.path())
			continue
		case l.cache && it.name != cacheTag, w.opts.NoDump && it.st.NoDump:
			continue
		case it.st.Type() == unix.S_IFSOCK:
			w.leaveOut(&w.skipped, it.path())
			continue
		case it.st.IsDir() && d.depth+1 >= manifest.MaxDepth:
			w.problem(it.path(), "enter", ErrTooDeep)
			continue
		case it.st.IsDir():
			subs = append(subs, it)
		}
		d.items = append(d.items, it)
	}
	if w.opts.OneFileSystem && l.st.Dev != w.dev {
		d.items, subs = nil, nil
	}
	return subs
}

func (w *walker) subdirectories(ctx context.Context, d *directory, subs []*item) error {
	lists := make([]*listing, len(subs))
	for i, it := range subs {
		for j := i; j < min(i+scanAhead, len(subs)); j++ {
			if lists[j] == nil {
				lists[j] = w.list(ctx, d.path(subs[j].name))
			}
		}
		l := lists[i]
		lists[i] = nil
		sub := &directory{parent: d, rel: d.path(it.name), depth: d.depth + 1}
		it.sub = sub
		if err := w.directory(ctx, l, sub, it); err != nil {
			return err
		}
		lists[i] = l // so that it is not begun again
		l.items, l.xattrs = nil, nil
	}
	return nil
}

// file sends a regular file to be read, unless the cache knows its content.
func (w *walker) file(ctx context.Context, it *item) error {
	known := it.dir.known.file(it)
	if it.st.Size < snapshot.SmallFile {
		return w.small(ctx, it, known)
	}
	if known != nil {
		return w.reuse(ctx, it, known)
	}
	return w.send(ctx, job{items: []*item{it}})
}

// reuse takes a file's content and attributes from the cache.
func (w *walker) reuse(ctx context.Context, it *item, known *cachedFile) error {
	it.pieces, it.entry.Xattrs = known.pieces, known.xattrs
	w.reused.Add(1)
	w.files.Add(1)
	w.bytes.Add(it.st.Size)
	return w.complete(ctx, it)
}
