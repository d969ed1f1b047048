package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// conflictsShown bounds how many names ErrTargetExists lists.
const conflictsShown = 10

// refuseExisting returns ErrTargetExists when the target holds anything that an
// interrupted restore of this snapshot would not have left.
func (r *restorer) refuseExisting(ctx context.Context) error {
	var conflicts []string
	found := func(path string) bool {
		conflicts = append(conflicts, fmt.Sprintf("%q", path))
		return len(conflicts) < conflictsShown
	}
	top := &r.tree.Root().Tree
	if top.Type != manifest.Dir {
		names, err := r.target.Names()
		if err != nil {
			return err
		}
		for _, name := range names {
			if name == string(top.Name) {
				o := &output{in: &directory{}, entry: top}
				if same, err := r.complete(ctx, r.target, o); err != nil || same {
					continue
				}
			}
			if !strings.HasPrefix(name, tempPrefix) && !found(name) {
				break
			}
		}
	} else if err := r.findConflicts(ctx, &directory{entry: top}, found); err != nil {
		return err
	}
	if conflicts == nil {
		return nil
	}
	more := ""
	if len(conflicts) == conflictsShown {
		more = ", ..."
	}
	return fmt.Errorf("%w: %s%s", ErrTargetExists, strings.Join(conflicts, ", "), more)
}

// errEnough ends a search for conflicts.
var errEnough = errors.New("enough conflicts")

func (r *restorer) findConflicts(ctx context.Context, d *directory, found func(string) bool) error {
	err := r.conflictsIn(ctx, d, found, 0)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (r *restorer) conflictsIn(ctx context.Context, d *directory, found func(string) bool, depth int) error {
	dir, err := r.target.OpenDir(d.rel)
	if r.refused(err) && depth > 0 {
		return nil // the walk tells of it: nothing is written where nobody may look
	}
	if err != nil {
		return fmt.Errorf("open %q: %w", d.rel, err)
	}
	defer dir.Close()
	names, err := dir.Names()
	if err != nil || len(names) == 0 {
		return err
	}
	if depth > manifest.MaxDepth {
		return fmt.Errorf("%w: %q: directories are nested deeper than %d", snapshot.ErrManifest, d.rel, manifest.MaxDepth)
	}
	other := make(map[string]bool, len(names))
	for _, name := range names {
		other[name] = !strings.HasPrefix(name, tempPrefix)
	}
	for e, err := range r.tree.Entries(ctx, d.entry) {
		if err != nil {
			return err
		}
		if _, there := other[string(e.Name)]; !there {
			continue
		}
		delete(other, string(e.Name))
		if err := r.conflict(ctx, dir, d, e, found, depth); err != nil {
			return err
		}
	}
	for _, name := range names {
		if other[name] && !found(d.path([]byte(name))) {
			return errEnough
		}
	}
	return nil
}

// conflict looks at one entry that the target holds too.
func (r *restorer) conflict(ctx context.Context, dir *fsys.Dir, d *directory, e *snapshot.Entry, found func(string) bool, depth int) error {
	path := d.path(e.Name)
	if whole, below := r.included(path); !whole && !below {
		return nil // not ours to write, so not in the way
	}
	st, err := dir.Lstat(string(e.Name))
	if err != nil {
		return fmt.Errorf("stat %q: %w", path, err)
	}
	if e.Type == manifest.Dir && st.IsDir() {
		return r.conflictsIn(ctx, &directory{rel: path, entry: e}, found, depth+1)
	}
	same, err := r.complete(ctx, dir, &output{in: d, entry: e})
	if err != nil {
		return err
	}
	if !same && !found(path) {
		return errEnough
	}
	return nil
}

// keep decides about a name that exists: that it is what would be restored, or is
// to be left alone; else it may be replaced.
func (r *restorer) keep(ctx context.Context, dir *fsys.Dir, o *output) (keep, skip bool, err error) {
	same, err := r.complete(ctx, dir, o)
	switch {
	case err != nil:
		return false, false, err
	case same && r.opts.Existing == Skip:
		r.present.Add(1)
		return true, false, nil
	case same:
		if shared, err := r.shared(dir, o); err != nil || shared {
			return false, false, err
		}
		r.present.Add(1)
		r.repair(dir, o)
		return true, false, nil
	case r.opts.Existing == Skip:
		r.skipped.Add(1)
		return false, true, nil
	case r.opts.Existing == Refuse:
		return false, false, fmt.Errorf("%w: %q", ErrTargetExists, o.path())
	}
	st, err := dir.Lstat(string(o.entry.Name))
	if err == nil && st.IsDir() {
		return false, false, fmt.Errorf("%w: %q is a directory", ErrTargetExists, o.path())
	}
	return false, false, nil
}

// shared reports whether what is there has other names, and would be changed by a repair.
// Those may be outside of the target, or be files of their own in the snapshot: it is
// written anew then, and they stay as they are.
func (r *restorer) shared(dir *fsys.Dir, o *output) (bool, error) {
	e, name := o.entry, string(o.entry.Name)
	st, err := dir.Lstat(name)
	if err != nil {
		return false, fmt.Errorf("stat %q: %w", o.path(), err)
	}
	if st.Nlink < 2 {
		return false, nil
	}
	link := e.Type == manifest.Symlink
	owner := r.euid == 0 && !r.opts.NoOwner && (uint64(st.UID) != e.UID || uint64(st.GID) != e.GID)
	late := e.Type != manifest.File && (st.MSec != e.ModTime.Sec || uint64(st.MNsec) != e.ModTime.Nsec)
	if owner || late || !link && st.Mode&0o7777 != r.mode(e) {
		return true, nil
	}
	if len(e.Xattrs) == 0 {
		return false, nil
	}
	// What cannot be read of them counts as different.
	have, _ := dir.Xattrs(name)
	return slices.ContainsFunc(e.Xattrs, func(want manifest.Xattr) bool {
		return !slices.ContainsFunc(have, func(x fsys.Xattr) bool { return bytes.Equal(x.Name, want.Name) && bytes.Equal(x.Value, want.Value) })
	}), nil
}

// repair sets the attributes of what is there already: it may be what a restore left that
// was killed, or that had not the rights.
func (r *restorer) repair(dir *fsys.Dir, o *output) {
	name := string(o.entry.Name)
	if o.entry.Type != manifest.File {
		r.attributes(dir, name, o)
		return
	}
	fd, err := dir.OpenFile(name)
	if err != nil {
		r.problem(o.path(), "open", err)
		return
	}
	defer fsys.CloseRead(fd)
	r.fileAttributes(fd, o)
	r.setTime(dir, name, o)
}

// sameTime reports whether a file's time is the recorded one, or what its file system
// makes of that. Some keep times in whole seconds, or in two, and none before 1980; but the
// times that archives give to files are whole seconds as well, so that those alone say
// nothing: only a try tells two contents of one second from one.
func (r *restorer) sameTime(dir *fsys.Dir, st *fsys.Stat, want manifest.Time) (bool, error) {
	if st.MSec == want.Sec && uint64(st.MNsec) == want.Nsec {
		return true, nil
	}
	kept, err := dir.KeptTime(r.tempName(), want.Sec, int64(want.Nsec))
	for errors.Is(err, unix.EEXIST) { // what a restore left that was killed
		kept, err = dir.KeptTime(r.tempName(), want.Sec, int64(want.Nsec))
	}
	switch {
	case err == nil:
		return kept.Dev == st.Dev && kept.MSec == st.MSec && kept.MNsec == st.MNsec, nil
	case r.refused(err), errors.Is(err, unix.EROFS):
		return false, nil
	}
	return false, fmt.Errorf("find out how times are kept: %w", err)
}

// complete reports whether a name in the target is what would be restored there.
func (r *restorer) complete(ctx context.Context, dir *fsys.Dir, o *output) (bool, error) {
	e := o.entry
	st, err := dir.Lstat(string(e.Name))
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("stat %q: %w", o.path(), err)
	}
	switch e.Type {
	case manifest.File:
		if !st.IsRegular() || uint64(st.Size) != e.Size {
			return false, nil
		}
		if same, err := r.sameTime(dir, &st, e.ModTime); err != nil || !same {
			return false, err
		}
		if r.opts.VerifyExisting {
			return r.sameContent(ctx, dir, o)
		}
		return true, nil
	case manifest.Symlink:
		if st.Type() != unix.S_IFLNK {
			return false, nil
		}
		target, err := dir.Readlink(string(e.Name))
		return err == nil && bytes.Equal(target, e.Target), nil
	case manifest.Fifo:
		return st.Type() == unix.S_IFIFO, nil
	case manifest.CharDevice, manifest.BlockDevice:
		return st.Type() == deviceType(e) && uint64(st.Major) == e.Device[0] && uint64(st.Minor) == e.Device[1], nil
	default:
		return false, nil
	}
}

func deviceType(e *snapshot.Entry) uint32 {
	if e.Type == manifest.BlockDevice {
		return unix.S_IFBLK
	}
	return unix.S_IFCHR
}

// sameContent compares a file in the target with its chunks.
func (r *restorer) sameContent(ctx context.Context, dir *fsys.Dir, o *output) (bool, error) {
	fd, err := dir.OpenFile(string(o.entry.Name))
	if err != nil {
		return false, fmt.Errorf("open %q: %w", o.path(), err)
	}
	defer fsys.CloseRead(fd)
	fsys.Sequential(fd)
	var have, chunk []byte
	off := int64(0)
	for x, err := range r.tree.Extents(ctx, o.entry) {
		if err != nil {
			return false, err
		}
		if x.Hole() {
			start, _, err := fsys.Data(fd, off, off+int64(x.Length))
			if err != nil || start < off+int64(x.Length) {
				return false, err
			}
			off += int64(x.Length)
			continue
		}
		b, err := r.tree.Get(ctx, x.Chunk.ID, chunk)
		if err != nil {
			return false, fmt.Errorf("read chunk %s of %q: %w", x.Chunk.ID, o.path(), err)
		}
		chunk = b.Data()
		want, err := snapshot.ExtentBytes(x, b)
		if err != nil {
			return false, err
		}
		if cap(have) < len(want) {
			have = make([]byte, block.MaxSize)
		}
		have = have[:max(len(want), 0)]
		if n, err := fsys.ReadAt(fd, have, off); err != nil || n < len(want) || !bytes.Equal(have, want) {
			return false, err
		}
		off += int64(len(want))
	}
	return true, nil
}
