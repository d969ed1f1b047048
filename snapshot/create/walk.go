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

// windowNames is how many names of a directory are looked at together. Only what is in
// the windows that are being worked on is in memory of a large directory, beside its names.
const windowNames = 512

// aheadNames is how many names a directory may have that is listed in advance, and
// aheadTotal how many all of those have together, below whichever directories.
const (
	aheadNames = 8192
	aheadTotal = 4 * aheadNames
)

// listing is what one look at a directory gave.
type listing struct {
	st      fsys.Stat
	xattrs  []manifest.Xattr
	problem error    // with the attributes
	names   []string // in order
	first   []*dirent
	gone    []string // of those that come first, the names that are not there any more
	ignore  []byte   // content of the directory's IgnoreFile
	err     error
	op      string
	cache   bool // it says that it is one, and caches are to be left out
	private bool // it has the mark of what no snapshot holds
	large   bool // it is to be listed when its turn comes
	ahead   int  // names that count as listed in advance
	ready   chan struct{}
}

// window is a part of a directory's names that is looked at ahead of the walk.
type window struct {
	list    []*dirent
	gone    []string // names in it that are not there any more
	problem error    // with the directory
	ready   chan struct{}
}

// walker goes through the tree in the order that bundles and the index follow: in
// each directory first what is no directory, then the directories, by name.
type walker struct {
	*creator
	slots   chan struct{} // bounds listings in progress
	bundle  bundle
	empties []*dirent // to be read together
	// behindEmpty is how many further names of files came since the first of empties.
	behindEmpty int
	clocks      *clocks
	looking     sync.WaitGroup
}

func (c *creator) walk(ctx context.Context, file string) error {
	w := &walker{creator: c, slots: make(chan struct{}, 4), clocks: newClocks(c.started)}
	defer w.looking.Wait()
	var err error
	if file != "" {
		err = w.single(ctx, file)
	} else {
		err = w.directory(ctx, w.list(ctx, "", false), &directory{}, &dirent{})
	}
	if err != nil {
		return err
	}
	if err := errors.Join(w.flush(ctx), w.flushEmpty(ctx)); err != nil {
		return err
	}
	return w.late(ctx, 0)
}

// single walks a tree of one regular file.
func (w *walker) single(ctx context.Context, name string) error {
	st, err := w.root.Lstat(name)
	if err != nil {
		return err
	}
	e := w.alone(name)
	e.st, e.entry = st, entryOf(name, &st, w.owners)
	return w.file(ctx, e)
}

// alone returns the one dirent of a snapshot whose top is a file.
func (c *creator) alone(name string) *dirent {
	d := &directory{slots: make([]slot, 1), part: new(indexPart)}
	c.parts = append(c.parts, d.part)
	d.pending.Store(1)
	return &dirent{dir: d, name: name, at: &d.slots[0]}
}

// list starts looking at a directory: in advance, if it is not its turn yet.
func (w *walker) list(ctx context.Context, rel string, advance bool) *listing {
	l := &listing{ready: make(chan struct{})}
	ok := w.beside(ctx, func() {
		defer close(l.ready)
		l.op, l.err = l.look(w.creator, rel, advance)
	})
	if !ok {
		l.err, l.op = context.Cause(ctx), "list"
		close(l.ready)
	}
	return l
}

// beside has something looked at beside the walk, unless the context ends before there is
// room for it. What looks waits for nobody.
func (w *walker) beside(ctx context.Context, look func()) bool {
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	w.looking.Go(func() {
		defer func() { <-w.slots }()
		look()
	})
	return true
}

// look lists a directory and the state of what comes first in it.
func (l *listing) look(c *creator, rel string, advance bool) (op string, err error) {
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
	if advance {
		if l.ahead = len(names); c.ahead.Add(int64(l.ahead)) > aheadTotal || l.ahead > aheadNames {
			c.ahead.Add(int64(-l.ahead))
			l.ahead, l.large = 0, true
			return "", nil
		}
	}
	sort.Strings(names)
	names = slices.Compact(names) // what is put in again while it is listed may come twice
	has := func(name string) bool { _, has := slices.BinarySearch(names, name); return has }
	l.names = names
	l.cache = c.opts.NoCaches && has(cacheTag) && isCache(dir)
	l.private = c.opts.marks(has)
	if has(IgnoreFile) && !c.opts.NoIgnoreFiles {
		if l.ignore, err = readIgnoreFile(dir); err != nil {
			c.problem(c.join(rel, IgnoreFile), "read", err)
		}
	}
	l.first, l.gone = c.lookAt(dir, rel, names, 0)
	return "", nil
}

// join returns the path of a name in a directory.
func (c *creator) join(rel, name string) string {
	if rel == "" {
		return name
	}
	return rel + "/" + name
}

// lookAt returns the state of a window of a directory's names, from the given one on, and
// those of them that are gone.
func (c *creator) lookAt(dir *fsys.Dir, rel string, names []string, from int) (list []*dirent, gone []string) {
	part := names[from:min(from+windowNames, len(names))]
	slab := make([]dirent, len(part))
	list = make([]*dirent, 0, len(part))
	for i, name := range part {
		e := &slab[i]
		e.name, e.ordinal = name, from+i
		if len(name) > manifest.MaxName {
			c.problem(c.join(rel, name), "take", ErrLongName)
			continue
		}
		if op, err := e.look(c, dir); err != nil {
			if errors.Is(err, errGone) {
				gone = append(gone, name)
			} else {
				c.problem(c.join(rel, name), op, err)
			}
			continue
		}
		list = append(list, e)
	}
	return list, gone
}

// window starts looking at a further part of a directory's names; it is opened again.
func (w *walker) window(ctx context.Context, d *directory, l *listing, names []string, from int) *window {
	n := &window{ready: make(chan struct{})}
	ok := w.beside(ctx, func() {
		defer close(n.ready)
		dir, err := w.again(d, l)
		if err != nil {
			n.problem = err
			return
		}
		defer dir.Close()
		n.list, n.gone = w.lookAt(dir, d.rel, names, from)
	})
	if !ok {
		close(n.ready)
	}
	return n
}

// errGone says that a name is not there any more.
var errGone = errors.New("gone since it was listed")

// look reads what a dirent is, all but the content and attributes of regular files
// and the attributes of directories. That a name is gone only its stat can say: other
// calls miss other things, such as /proc.
func (e *dirent) look(c *creator, dir *fsys.Dir) (op string, err error) {
	for range readAttempts {
		e.st, err = dir.Lstat(e.name)
		switch {
		case errors.Is(err, unix.ENOENT):
			return "stat", errGone
		case err != nil:
			return "stat", err
		}
		if c.opts.NoDump {
			e.st.NoDump = dir.NoDump(e.name)
		}
		// Not the device alone: that of a file in an overlay may be another one than the
		// directory's, without anything mounted there.
		e.st.Mounted = c.opts.OneFileSystem && e.st.Dev != c.dev && dir.Mounted(e.name)
		e.entry = entryOf(e.name, &e.st, c.owners)
		if e.st.IsRegular() || e.st.IsDir() || e.st.Type() == unix.S_IFSOCK {
			return "", nil
		}
		var target, attrs error
		if e.entry.Type == manifest.Symlink {
			if e.entry.Target, target = dir.Readlink(e.name); target == nil && len(e.entry.Target) == 0 {
				target = ErrNoTarget
			}
		}
		e.entry.Xattrs, attrs = xattrsOf(dir.Xattrs(e.name))
		// What was read by name is of this stat only if the name is what it was.
		now, err := dir.Lstat(e.name)
		if err == nil && now.Same(&e.st) {
			if target != nil {
				return "read link", target
			}
			e.problem = attrs
			return "", nil
		}
	}
	return "read", ErrChanged
}

// directory walks one directory whose listing was begun. self is its entry in the
// directory above.
func (w *walker) directory(ctx context.Context, l *listing, d *directory, self *dirent) error {
	if err := wait(ctx, l.ready); err != nil {
		return err
	}
	w.ahead.Add(int64(-l.ahead))
	if l.large {
		l = w.list(ctx, d.rel, false)
		if err := wait(ctx, l.ready); err != nil {
			return err
		}
	}
	switch {
	case l.err != nil && d.parent == nil:
		return l.err
	case l.err != nil:
		w.problem(d.rel, l.op, l.err)
		self.dropped = true
		return w.complete(ctx, self)
	case d.parent != nil && (l.private || w.private.has(&l.st)): // another one may have come to its place since its stat
		w.leaveOut(&w.left, d.rel)
		self.dropped = true
		return w.complete(ctx, self)
	}
	self.st = l.st
	self.entry = entryOf(self.name, &l.st, w.owners)
	self.entry.Xattrs = l.xattrs
	w.withoutAttributes(self, d.rel, l.problem)
	d.self, d.dev, d.part, d.slots = self, l.st.Dev, new(indexPart), make([]slot, len(l.names))
	d.pending.Store(1)
	w.parts = append(w.parts, d.part)
	w.ignore.Push(d.rel, ignore.Parse(l.ignore))
	defer w.ignore.Pop()
	var subs []sub
	if w.opts.OneFileSystem && l.st.Dev != w.dev {
		w.leaveOut(&w.elsewhere, d.rel)
	} else {
		var err error
		if subs, err = w.contents(ctx, l, d); err != nil {
			return err
		}
	}
	l.names, l.first, l.xattrs = nil, nil, nil
	if err := w.subdirectories(ctx, d, subs); err != nil {
		return err
	}
	return w.release(ctx, d)
}

func wait(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sub is a subdirectory that is to be walked.
type sub struct {
	name string
	at   *slot
}

// contents sends what is in a directory on its way, window by window, and returns its
// subdirectories, which come after all else.
func (w *walker) contents(ctx context.Context, l *listing, d *directory) (subs []sub, err error) {
	known := w.cache.dir(d.rel)
	list, gone := l.first, l.gone
	for from := windowNames; ; from += windowNames {
		var next *window
		if from < len(l.names) {
			next = w.window(ctx, d, l, l.names, from)
		}
		if subs, err = w.sendOn(ctx, l, d, list, d.slots, known, subs); err != nil {
			return nil, err
		}
		if next == nil {
			return w.renamed(ctx, l, d, gone, subs)
		}
		if err := wait(ctx, next.ready); err != nil {
			return nil, err
		}
		gone = append(gone, next.gone...)
		if list = next.list; next.problem != nil {
			w.problem(d.rel, "list", next.problem)
			from = len(l.names) // nothing of what is left can be looked at
		}
	}
}

// sendOn sends a window of dirents on its way, to their places among slots, and returns
// subs with the directories among them.
func (w *walker) sendOn(ctx context.Context, l *listing, d *directory, list []*dirent, slots []slot, known *cursor, subs []sub) ([]sub, error) {
	clock := w.clocks.reached(&l.st, list, func() bool { return w.ownClock(d.rel) })
	for _, e := range list {
		e.dir, e.clock, e.at = d, clock, &slots[e.ordinal]
		if !w.chosen(l, e) {
			continue
		}
		d.pending.Add(1)
		if e.st.IsDir() {
			subs = append(subs, sub{e.name, e.at})
			continue
		}
		own := *e // one that has to wait would hold on to its whole window
		e = &own
		if e.st.IsRegular() {
			e.known = known.file(e.name, &e.st)
		}
		if err := w.entry(ctx, e); err != nil {
			return nil, err
		}
	}
	return subs, nil
}

// chosen reports whether a dirent has a place in the snapshot, and takes note of what the
// user should know of if not.
func (w *walker) chosen(l *listing, e *dirent) bool {
	if w.ignore.Excluded(e.dir.rel, e.name, e.st.IsDir()) {
		return false
	}
	switch {
	case w.private.has(&e.st):
		w.leaveOut(&w.left, e.path())
	case l.cache && e.name != cacheTag, w.opts.NoDump && e.st.NoDump, w.writer.writes(&e.st):
	case e.st.Type() == unix.S_IFSOCK:
		w.leaveOut(&w.skipped, e.path())
	case e.st.Mounted && !e.st.IsDir(): // of a directory nothing but what is in it is left out
		w.leaveOut(&w.elsewhere, e.path())
	case e.st.IsDir() && e.dir.depth+1 >= manifest.MaxDepth:
		w.problem(e.path(), "enter", ErrTooDeep)
	default:
		return true
	}
	return false
}

func (w *walker) subdirectories(ctx context.Context, d *directory, subs []sub) error {
	var lists []*listing // of those that come next
	for i, s := range subs {
		for j := i + len(lists); j < min(i+scanAhead, len(subs)); j++ {
			lists = append(lists, w.list(ctx, d.path(subs[j].name), j > i))
		}
		l := lists[0]
		lists = slices.Delete(lists, 0, 1)
		below := &directory{parent: d, rel: d.path(s.name), depth: d.depth + 1}
		self := &dirent{dir: d, name: s.name, at: s.at}
		if err := w.directory(ctx, l, below, self); err != nil {
			return err
		}
	}
	return nil
}

// file sends a regular file to be read, unless the cache knows its content.
func (w *walker) file(ctx context.Context, e *dirent) error {
	switch {
	case e.st.Size == 0:
		return w.empty(ctx, e)
	case e.st.Size < snapshot.SmallFile:
		return w.small(ctx, e)
	case e.known.usable():
		return w.reuse(ctx, e)
	}
	return w.send(ctx, job{files: []*dirent{e}})
}

// reuse takes a file's content and attributes from the cache.
func (w *walker) reuse(ctx context.Context, e *dirent) error {
	e.content, e.entry.Xattrs = e.known.content, e.known.xattrs
	w.reused.Add(1)
	w.files.Add(1)
	w.bytes.Add(e.st.Size)
	return w.complete(ctx, e)
}
