package restore

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// Attributes are set in this order: the owner, since a change of owner clears
// set-user-ID bits and capabilities; extended attributes, since that needs write
// permission; the permission bits; the time, which everything before could change.
// What cannot be set is a problem, and the rest goes on.

// fileAttributes sets all but the time of an open file.
func (r *restorer) fileAttributes(fd int, o *output) {
	st, err := fsys.Fstat(fd)
	if err != nil {
		r.problem(o.path(), "stat", err)
		return
	}
	r.set(fd, &st, o.entry, o.path())
}

func (r *restorer) set(fd int, st *fsys.Stat, e *snapshot.Entry, path string) {
	changed := false
	if r.euid == 0 && !r.opts.NoOwner && (uint64(st.UID) != e.UID || uint64(st.GID) != e.GID) {
		if err := fsys.Chown(fd, uint32(e.UID), uint32(e.GID)); err != nil {
			r.problem(path, "set the owner of", err)
		}
		changed = true
	}
	for _, x := range e.Xattrs {
		if err := fsys.SetXattr(fd, string(x.Name), x.Value); err != nil {
			r.problem(path, fmt.Sprintf("set the attribute %q of", x.Name), err)
		}
		changed = true
	}
	if mode := r.mode(e); changed || st.Mode&0o7777 != mode {
		if err := fsys.Chmod(fd, mode); err != nil {
			r.problem(path, "set the mode of", err)
		}
	}
}

func (r *restorer) setTime(dir *fsys.Dir, name string, o *output) {
	t := o.entry.ModTime
	if err := dir.SetTime(name, t.Sec, int64(t.Nsec)); err != nil {
		r.problem(o.path(), "set the time of", err)
	}
}

// directoryAttributes sets the attributes of a directory when all that is in it is done.
func (r *restorer) directoryAttributes(d *directory) {
	dir, err := r.target.OpenDir(d.rel)
	if err != nil {
		r.problem(d.rel, "open", err)
		return
	}
	defer dir.Close()
	st, err := dir.Stat()
	if err != nil {
		r.problem(d.rel, "stat", err)
		return
	}
	// The time first here: once the mode is set, "." may be out of reach. Neither
	// owner, mode nor extended attributes change a directory's modification time.
	t := d.entry.ModTime
	if err := dir.SetTime(".", t.Sec, int64(t.Nsec)); err != nil {
		r.problem(d.rel, "set the time of", err)
	}
	r.set(dir.Fd(), &st, d.entry, d.rel)
}

// special restores what has no content: a symbolic link, a fifo or a device. made is
// false when that was not possible, which is a problem and no error.
func (r *restorer) special(dir *fsys.Dir, o *output) (made bool, err error) {
	e := o.entry
	name := string(e.Name)
	if o.over {
		name = r.tempName()
	}
	switch e.Type {
	case manifest.Symlink:
		err = dir.Symlink(string(e.Target), name)
	case manifest.Fifo:
		err = dir.Mknod(name, unix.S_IFIFO|0o600, 0, 0)
	case manifest.CharDevice, manifest.BlockDevice:
		err = dir.Mknod(name, deviceType(e)|0o600, uint32(e.Device[0]), uint32(e.Device[1]))
	default:
		return false, fmt.Errorf("%w: %q: a %s", snapshot.ErrManifest, o.path(), e.Type)
	}
	switch {
	case r.refused(err):
		r.refusal(o.in, o.path(), "make "+e.Type.String(), taken(err))
		return false, nil
	case err != nil:
		return false, fmt.Errorf("make %s %q: %w", e.Type, o.path(), err)
	}
	r.attributes(dir, name, o)
	if o.over {
		if err := dir.Rename(name, string(e.Name), true); err != nil {
			err = errors.Join(err, dir.Unlink(name))
			if r.refused(err) {
				r.problem(o.path(), "replace", err)
				return false, nil
			}
			return false, fmt.Errorf("name %s %q: %w", e.Type, o.path(), err)
		}
	}
	r.others.Add(1)
	return true, nil
}

// attributes sets the attributes of what cannot be opened, under the name it has now.
func (r *restorer) attributes(dir *fsys.Dir, name string, o *output) {
	e := o.entry
	if r.euid == 0 && !r.opts.NoOwner {
		if err := dir.Lchown(name, uint32(e.UID), uint32(e.GID)); err != nil {
			r.problem(o.path(), "set the owner of", err)
		}
	}
	for _, x := range e.Xattrs {
		if err := dir.SetXattr(name, string(x.Name), x.Value); err != nil {
			r.problem(o.path(), fmt.Sprintf("set the attribute %q of", x.Name), err)
		}
	}
	if e.Type != manifest.Symlink {
		if err := dir.Chmodat(name, r.mode(e)); err != nil {
			r.problem(o.path(), "set the mode of", err)
		}
	}
	r.setTime(dir, name, o)
}
