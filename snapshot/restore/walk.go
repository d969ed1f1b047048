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

// place is a directory being restored.
type place struct {
	parent  *place
	rel     string
	entry   *snapshot.Entry
	keeps   bool         // was there, as a way to something included: attributes stay
	pending atomic.Int64 // what is not done in it, and the walk's hold
}

func (p *place) path(name []byte) string {
	if p.rel == "" {
		return string(name)
	}
	return p.rel + "/" + string(name)
}

// output is a regular file to be restored.
type output struct {
	in    *place
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
	in      *place
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
		p := &place{keeps: true}
		p.pending.Store(1)
		p.entry = &snapshot.Entry{}
		existing, err := w.inherit(ctx, r.target, p)
		if err != nil {
			return err
		}
		if err := w.entry(ctx, r.target, existing, p, top); err != nil {
			return err
		}
		return errors.Join(w.flush(ctx), r.leave(p))
	}
	if _, err := r.census.Add(top, "", 0); err != nil {
		return err
	}
	r.dirs.Add(1)
	p := &place{entry: top, keeps: len(r.opts.Include) > 0 && !r.made}
	p.pending.Store(1)
	if err := w.directory(ctx, p, false, 0); err != nil {
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
func (w *restoreWalk) directory(ctx context.Context, p *place, fresh bool, depth int) error {
	dir, err := w.target.OpenDir(p.rel)
	if err != nil {
		return fmt.Errorf("open %q: %w", p.rel, err)
	}
	closed := false
	defer func() {
		if !closed {
			dir.Close()
		}
	}()
	var existing map[string]bool
	if !fresh {
		if existing, err = w.inherit(ctx, dir, p); err != nil {
			return err
		}
	}
	var subs []*place
	var made []bool
	for e, err := range w.tree.Entries(ctx, p.entry) {
		if err != nil {
			return err
		}
		whole, below := w.included(p.path(e.Name))
		if !whole && (!below || e.Type != manifest.Dir) {
			continue
		}
		if e.Type != manifest.Dir {
			if err := w.entry(ctx, dir, existing, p, e); err != nil {
				return err
			}
			continue
		}
		isNew, err := w.enter(dir, existing, p, e, depth)
		switch {
		case w.refused(err):
			w.problem(p.path(e.Name), "make directory", err)
			continue
		case err != nil:
			return err
		}
		subs = append(subs, &place{parent: p, rel: p.path(e.Name), entry: e, keeps: !whole && !isNew})
		made = append(made, isNew)
	}
	dir.Close()
	closed = true
	for i, sub := range subs {
		sub.pending.Store(1)
		p.pending.Add(1)
		if err := w.directory(ctx, sub, made[i], depth+1); err != nil {
			return err
		}
	}
	return w.leave(p)
}

// inherit returns the names that a directory of the target holds, and removes what
// an interrupted restore left in it.
func (w *restoreWalk) inherit(ctx context.Context, dir *fsys.Dir, p *place) (map[string]bool, error) {
	names, err := dir.Names()
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", p.rel, err)
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
	for e, err := range w.tree.Entries(ctx, p.entry) {
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(string(e.Name), tempPrefix) {
			return existing, nil // the snapshot has such names itself: better to keep all
		}
	}
	for _, name := range temps {
		if err := dir.Unlink(name); err != nil && !errors.Is(err, unix.EISDIR) {
			return nil, fmt.Errorf("remove the leftover %q: %w", p.path([]byte(name)), err)
		}
		delete(existing, name)
	}
	return existing, nil
}

// enter makes a directory, or takes the one that is there.
func (w *restoreWalk) enter(dir *fsys.Dir, existing map[string]bool, p *place, e *snapshot.Entry, depth int) (made bool, err error) {
	path, name := p.path(e.Name), string(e.Name)
	if _, err := w.census.Add(e, path, depth+1); err != nil {
		return false, err
	}
	if existing[name] {
		st, err := dir.Lstat(name)
		switch {
		case err != nil:
			return false, fmt.Errorf("stat %q: %w", path, err)
		case !st.IsDir():
			return false, fmt.Errorf("%w: %q is no directory", ErrTargetExists, path)
		case st.Mode&0o700 != 0o700 && w.euid != 0:
			if err := dir.Chmodat(name, st.Mode&0o7777|0o700); err != nil {
				return false, fmt.Errorf("enter %q: %w", path, err)
			}
		}
		return false, nil
	}
	if err := dir.Mkdir(name, 0o700); err != nil {
		return false, fmt.Errorf("make directory %q: %w", path, taken(err))
	}
	w.dirs.Add(1)
	return true, nil
}

// entry restores what is no directory, or sends it on to be restored.
func (w *restoreWalk) entry(ctx context.Context, dir *fsys.Dir, existing map[string]bool, p *place, e *snapshot.Entry) error {
	path := p.path(e.Name)
	first, err := w.census.Add(e, path, 0)
	if err != nil {
		return err
	}
	o := &output{in: p, entry: e, there: existing[string(e.Name)]}
	p.pending.Add(1)
	if first == nil {
		first = e
	} else if g := w.firsts[first]; g != nil {
		return w.further(ctx, g, o)
	}
	if o.there {
		keep, skipped, err := w.keep(ctx, dir, o)
		if err != nil {
			return err
		}
		if skipped { // no other name is linked to what is there
			return w.leave(p)
		}
		o.kept, o.over = keep, !keep
	}
	if e.Link != nil {
		o.link = &linkGroupState{in: p, name: string(e.Name)}
		w.firsts[first] = o.link
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
