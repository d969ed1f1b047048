package faultfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/decube/decube/internal/durable"
)

func apply(names map[string]*node, op nameOp) {
	if op.node == nil {
		delete(names, op.name)
	} else {
		names[op.name] = op.node
	}
}

// MkdirAll implements durable.FS.
func (f *FS) MkdirAll(dir string, _ fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return ErrCrashed
	}
	for d := clean(dir); ; d = filepath.Dir(d) {
		if f.names[d] != nil {
			return &fs.PathError{Op: "mkdir", Path: d, Err: syscall.ENOTDIR}
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	for d := clean(dir); !f.dirs[d]; d = filepath.Dir(d) {
		f.dirs[d] = true
	}
	return nil
}

// ReadDir implements durable.FS.
func (f *FS) ReadDir(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	dir = clean(dir)
	if !f.dirs[dir] {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: fs.ErrNotExist}
	}
	var out []string
	for name := range f.names {
		if filepath.Dir(name) == dir {
			out = append(out, filepath.Base(name))
		}
	}
	for name := range f.dirs {
		if name != dir && filepath.Dir(name) == dir {
			out = append(out, filepath.Base(name))
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out, nil
}

// ReadFile implements durable.FS.
func (f *FS) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup("open", name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n.cur.size)
	n.cur.readAt(b, 0)
	return b, nil
}

// lookup finds an existing file. f.mu is held.
func (f *FS) lookup(op, name string) (*node, error) {
	if f.crashed {
		return nil, ErrCrashed
	}
	n := f.names[clean(name)]
	if n == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// WriteFile implements durable.FS in the usual steps, each of which can fail.
func (f *FS) WriteFile(name string, data []byte, perm fs.FileMode) error {
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp")
	if err := f.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h, err := f.create(tmp, perm)
	if err != nil {
		return err
	}
	if err := errors.Join(h.write(data, 0), h.Sync(), h.Close()); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	if err := f.Rename(tmp, name); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(name))
}

// Create implements durable.FS.
func (f *FS) Create(name string, perm fs.FileMode) (durable.File, error) {
	h, err := f.create(name, perm)
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (f *FS) create(name string, _ fs.FileMode) (*handle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = clean(name)
	switch {
	case f.crashed:
		return nil, ErrCrashed
	case f.names[name] != nil || f.dirs[name]:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case !f.dirs[filepath.Dir(name)]:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	halfway, err := f.step(OpCreate, name)
	if err != nil && !halfway {
		return nil, err
	}
	n := &node{}
	f.names[name] = n
	f.pending = append(f.pending, nameOp{name: name, node: n})
	if err != nil {
		return nil, err
	}
	return &handle{fs: f, name: name, node: n, direct: true}, nil
}

// OpenWrite implements durable.FS.
func (f *FS) OpenWrite(name string) (durable.File, error) { return f.open(name, true) }

// OpenRead implements durable.FS.
func (f *FS) OpenRead(name string) (durable.File, error) { return f.open(name, false) }

func (f *FS) open(name string, direct bool) (durable.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup("open", name)
	if err != nil {
		return nil, err
	}
	return &handle{fs: f, name: clean(name), node: n, direct: direct}, nil
}

// Rename implements durable.FS.
func (f *FS) Rename(from, to string) error {
	from, to = clean(from), clean(to)
	return f.change(OpRename, from, filepath.Dir(to), func(n *node) []nameOp {
		if from == to {
			return nil
		}
		return []nameOp{{name: to, node: n}, {name: from, moved: true}}
	})
}

// Remove implements durable.FS.
func (f *FS) Remove(name string) error {
	name = clean(name)
	return f.change(OpRemove, name, filepath.Dir(name), func(*node) []nameOp { return []nameOp{{name: name}} })
}

// change makes changes to names that belong together, of which the last is in dir.
func (f *FS) change(kind OpKind, name, dir string, ops func(*node) []nameOp) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(string(kind), name)
	if err != nil {
		return err
	}
	if !f.dirs[dir] {
		return &fs.PathError{Op: string(kind), Path: dir, Err: fs.ErrNotExist}
	}
	halfway, err := f.step(kind, name)
	if err != nil && !halfway {
		return err
	}
	changes := ops(n)
	for _, c := range changes {
		apply(f.names, c)
	}
	// A crash cuts the list anywhere; a rename whose second half is cut leaves
	// both names, which a program must tolerate after a crash in any case.
	f.pending = append(f.pending, changes...)
	return err
}

// SyncDir implements durable.FS.
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir = clean(dir)
	if !f.crashed && !f.dirs[dir] {
		return &fs.PathError{Op: "syncdir", Path: dir, Err: fs.ErrNotExist}
	}
	halfway, err := f.step(OpSyncDir, dir)
	if err != nil && (!halfway || f.rng.IntN(2) == 0) || f.lying {
		return err
	}
	rest := f.pending[:0:0]
	for _, op := range f.pending {
		if filepath.Dir(op.name) == dir {
			apply(f.durable, op)
		} else {
			rest = append(rest, op)
		}
	}
	f.pending = rest
	return err
}

// Free implements durable.FS.
func (f *FS) Free(string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return 0, ErrCrashed
	}
	return max(0, f.capacity-f.used()), nil
}
