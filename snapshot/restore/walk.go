package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/flow"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// tempPrefix begins the names that files have until they are complete.
const tempPrefix = ".decube-restore-"

// directory is one that is being restored.
type directory struct {
	parent  *directory
	rel     string
	entry   *snapshot.Entry
	keeps   bool         // was there, as a way to something included: attributes stay
	pending atomic.Int64 // what is not done in it, and the walk's hold

	// Guarded by the restorer's mu: how many names could not be made because nobody may make
	// any here, and why.
	lacks int64
	no    error
}

func (d *directory) path(name []byte) string {
	if d.rel == "" {
		return string(name)
	}
	return d.rel + "/" + string(name)
}

// output is a regular file to be restored.
type output struct {
	in    *directory
	entry *snapshot.Entry
	link  *linkGroupState // when it is the first name of a hard link
	there bool            // the target had this very name when its directory was listed
	kept  bool            // it was there already
	over  bool            // what was there is to be replaced
}

func (o *output) path() string { return o.in.path(o.entry.Name) }

// task is files to be written; those of one task lie in one chunk, or it is one file.
type task struct {
	chunk   block.ID
	outputs []*output
}

// linkGroupState knows the first name of a hard link, and what waits for it. mu guards all.
type linkGroupState struct {
	mu      sync.Mutex
	in      *directory
	name    string
	done    bool
	failed  bool
	waiters []*output
}

// walk goes through the tree, makes directories and everything that has no content,
// and sends files on.
func (r *restorer) walk(ctx context.Context) error {
	w := &restoreWalk{restorer: r}
	top := &r.tree.Root().Tree
	if top.Type != manifest.Dir {
		if len(top.Name) == 0 {
			return fmt.Errorf("%w: root %s: a %s without a name", snapshot.ErrManifest, r.tree.ID(), top.Type)
		}
		d := &directory{keeps: true}
		d.pending.Store(1)
		d.entry = &snapshot.Entry{}
		existing, err := w.inherit(ctx, r.target, d)
		if err != nil {
			return err
		}
		if err := w.entry(ctx, r.target, existing, d, top); err != nil {
			return err
		}
		return errors.Join(w.flush(ctx), r.leave(d))
	}
	if _, err := r.census.Add(top, "", 0); err != nil {
		return err
	}
	d := &directory{entry: top, keeps: len(r.opts.Include) > 0 && !r.made}
	d.pending.Store(1)
	if err := w.directory(ctx, d, false, 0); err != nil {
		return err
	}
	return w.flush(ctx)
}

// restoreWalk is the walk's own state: the task being gathered.
type restoreWalk struct {
	*restorer
	next task
}

// taskFiles bounds how many files make one task.
const taskFiles = 256

// directory restores what is in a directory that exists in the target.
func (w *restoreWalk) directory(ctx context.Context, d *directory, fresh bool, depth int) error {
	dir, err := w.target.OpenDir(d.rel)
	if w.refused(err) && d.parent != nil {
		w.problem(d.rel, "open", err)
		d.keeps = true
		return w.leave(d)
	}
	if err != nil {
		return fmt.Errorf("open %q: %w", d.rel, err)
	}
	closed := false
	defer func() {
		if !closed {
			dir.Close()
		}
	}()
	var existing map[string]bool
	if !fresh {
		if existing, err = w.inherit(ctx, dir, d); err != nil {
			return err
		}
	}
	var subs []entered // what became of its directories, in order
	for e, err := range w.tree.Entries(ctx, d.entry) {
		if err != nil {
			return err
		}
		whole, below := w.included(d.path(e.Name))
		if !whole && (!below || e.Type != manifest.Dir) {
			continue
		}
		if e.Type != manifest.Dir {
			if err := w.entry(ctx, dir, existing, d, e); err != nil {
				return err
			}
			continue
		}
		sub, err := w.enter(dir, existing, d, e, depth)
		switch {
		case w.refused(err):
			w.refusal(d, d.path(e.Name), "make directory", err)
		case err != nil:
			return err
		}
		subs = append(subs, sub)
	}
	dir.Close()
	closed = true
	if err := w.below(ctx, d, subs, depth); err != nil {
		return err
	}
	return w.leave(d)
}

// entered says what became of a directory that is to be restored.
type entered byte

const (
	barred entered = iota // it could not be made
	made
	there
)

// below restores what is in the directories of a directory. Its entries are read a second
// time: to remember them would be to keep all of their pages in memory.
func (w *restoreWalk) below(ctx context.Context, d *directory, subs []entered, depth int) error {
	if len(subs) == 0 {
		return nil
	}
	for e, err := range w.tree.Entries(ctx, d.entry) {
		if err != nil {
			return err
		}
		whole, below := w.included(d.path(e.Name))
		if e.Type != manifest.Dir || !whole && !below {
			continue
		}
		how := subs[0]
		if subs = subs[1:]; how == barred {
			continue
		}
		entry := *e // e holds on to its page
		sub := &directory{parent: d, rel: d.path(e.Name), entry: &entry, keeps: !whole && how == there}
		sub.pending.Store(1)
		d.pending.Add(1)
		if err := w.directory(ctx, sub, how == made, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// inherit returns the names that a directory of the target holds, and removes what
// an interrupted restore left in it.
func (w *restoreWalk) inherit(ctx context.Context, dir *fsys.Dir, d *directory) (map[string]bool, error) {
	names, err := dir.Names()
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", d.rel, err)
	}
	existing := make(map[string]bool, len(names))
	var temps []string
	for _, name := range names {
		existing[name] = true
		if strings.HasPrefix(name, tempPrefix) {
			temps = append(temps, name)
		}
	}
	if temps == nil {
		return existing, nil
	}
	for e, err := range w.tree.Entries(ctx, d.entry) {
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(string(e.Name), tempPrefix) {
			return existing, nil // the snapshot has such names itself: better to keep all
		}
	}
	for _, name := range temps {
		if err := dir.Unlink(name); err != nil && !errors.Is(err, unix.EISDIR) {
			return nil, fmt.Errorf("remove the leftover %q: %w", d.path([]byte(name)), err)
		}
		delete(existing, name)
	}
	return existing, nil
}

// enter makes a directory, or takes the one that is there.
func (w *restoreWalk) enter(dir *fsys.Dir, existing map[string]bool, d *directory, e *snapshot.Entry, depth int) (entered, error) {
	path, name := d.path(e.Name), string(e.Name)
	if _, err := w.census.Add(e, path, depth+1); err != nil {
		return barred, err
	}
	if existing[name] {
		st, err := dir.Lstat(name)
		switch {
		case err != nil:
			return barred, fmt.Errorf("stat %q: %w", path, err)
		case !st.IsDir():
			return barred, fmt.Errorf("%w: %q is no directory", ErrTargetExists, path)
		case w.shut(&st):
			if err := dir.Chmodat(name, st.Mode&0o7777|0o700); err != nil {
				return barred, fmt.Errorf("enter %q: %w", path, err)
			}
			w.remember(path, &st)
		}
		return there, nil
	}
	if err := dir.Mkdir(name, 0o700); err != nil {
		return barred, fmt.Errorf("make directory %q: %w", path, taken(err))
	}
	w.dirs.Add(1)
	return made, nil
}

// entry restores what is no directory, or sends it on to be restored.
func (w *restoreWalk) entry(ctx context.Context, dir *fsys.Dir, existing map[string]bool, d *directory, e *snapshot.Entry) error {
	path := d.path(e.Name)
	further, err := w.census.Add(e, path, 0)
	if err != nil {
		return err
	}
	o := &output{in: d, entry: e, there: existing[string(e.Name)]}
	d.pending.Add(1)
	if further {
		if g := w.firsts[[manifest.LinkSize]byte(e.Link)]; g != nil {
			return w.further(ctx, g, o)
		}
	}
	if o.there {
		keep, skipped, err := w.keep(ctx, dir, o)
		if err != nil {
			return err
		}
		if skipped { // no other name is linked to what is there
			return w.leave(d)
		}
		o.kept, o.over = keep, !keep
	}
	if e.Link != nil {
		o.link = &linkGroupState{in: d, name: string(e.Name)}
		w.firsts[[manifest.LinkSize]byte(e.Link)] = o.link
	}
	if o.kept {
		return w.done(ctx, o, false)
	}
	return w.dispatch(ctx, dir, o)
}

// dispatch restores what has no content, and sends files to who writes them.
func (w *restoreWalk) dispatch(ctx context.Context, dir *fsys.Dir, o *output) error {
	e := o.entry
	switch {
	case e.Type != manifest.File:
		made, err := w.special(dir, o)
		return errors.Join(err, w.done(ctx, o, !made))
	case len(e.Extents) == 1 && e.Size < snapshot.SmallFile && !e.Extents[0].Hole():
		chunk := e.Extents[0].Chunk.ID
		if chunk != w.next.chunk || len(w.next.outputs) >= taskFiles {
			if err := w.flush(ctx); err != nil {
				return err
			}
			w.next.chunk = chunk
		}
		w.next.outputs = append(w.next.outputs, o)
		return nil
	case e.Size >= largeFile:
		return flow.Send(ctx, w.larges, task{outputs: []*output{o}})
	default:
		return flow.Send(ctx, w.tasks, task{outputs: []*output{o}})
	}
}

// flush sends the gathered task on.
func (w *restoreWalk) flush(ctx context.Context) error {
	t := w.next
	w.next = task{}
	if len(t.outputs) == 0 {
		return nil
	}
	return flow.Send(ctx, w.tasks, t)
}
