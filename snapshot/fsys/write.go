package fsys

import (
	"cmp"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// CreateFile makes a new file for writing; EEXIST when the name is taken.
func (d *Dir) CreateFile(name string, mode uint32) (int, error) {
	return d.create(name, mode, 0)
}

// CreateDirect is CreateFile for writes that bypass the page cache: offset, length
// and memory address of each must be multiples of Align. direct is false when the
// file system refuses, and writes are plain ones.
func (d *Dir) CreateDirect(name string, mode uint32) (fd int, direct bool, err error) {
	fd, err = d.create(name, mode, unix.O_DIRECT)
	if !errors.Is(err, unix.EINVAL) {
		return fd, err == nil, err
	}
	// The name may have been created before the flag was refused.
	if err := d.Unlink(name); err != nil && !errors.Is(err, unix.ENOENT) {
		return -1, false, err
	}
	fd, err = d.create(name, mode, 0)
	return fd, false, err
}

func (d *Dir) create(name string, mode uint32, extra int) (int, error) {
	flags := unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC | extra
	return retryInt(func() (int, error) { return unix.Openat(d.fd, name, flags, mode) })
}

// Align is what direct writes are aligned to, in bytes.
const Align = 4096

// WriteAt writes all of p at offset off.
func WriteAt(fd int, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := retryInt(func() (int, error) { return unix.Pwrite(fd, p, off) })
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// Preallocate reserves disk space for the first size bytes and sets the file's
// length. A file system that cannot is no error.
func Preallocate(fd int, size int64) error {
	err := retry(func() error { return unix.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// Truncate sets a file's length.
func Truncate(fd int, size int64) error {
	return retry(func() error { return unix.Ftruncate(fd, size) })
}

// Sync makes a file's content and what is needed to read it durable.
func Sync(fd int) error { return retry(func() error { return unix.Fsync(fd) }) }

// SyncAll makes everything on the directory's file system durable: one call for
// thousands of small files.
func (d *Dir) SyncAll() error { return retry(func() error { return unix.Syncfs(d.fd) }) }

// Close closes a file that was written.
func Close(fd int) error { return unix.Close(fd) }

// Chmod sets an open file's permission bits.
func Chmod(fd int, mode uint32) error {
	return retry(func() error { return unix.Fchmod(fd, mode) })
}

// Chown sets an open file's owner.
func Chown(fd int, uid, gid uint32) error {
	return retry(func() error { return unix.Fchown(fd, int(uid), int(gid)) })
}

// Lchown sets the owner of a name in d, not following it.
func (d *Dir) Lchown(name string, uid, gid uint32) error {
	return retry(func() error { return unix.Fchownat(d.fd, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW) })
}

// SetTime sets the modification time of a name in d, not following it, and leaves
// the access time. "." is d itself.
func (d *Dir) SetTime(name string, sec, nsec int64) error {
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: sec, Nsec: nsec}}
	return retry(func() error { return unix.UtimesNanoAt(d.fd, name, ts, unix.AT_SYMLINK_NOFOLLOW) })
}

// KeptTime returns the state of a new file in d whose modification time was set: how
// exactly, and within which limits, its file system keeps times shows in no other way.
// Where files cannot be without a name, it has the given one until KeptTime returns.
func (d *Dir) KeptTime(name string, sec, nsec int64) (Stat, error) {
	const flags = unix.O_WRONLY | unix.O_CLOEXEC
	fd, err := retryInt(func() (int, error) { return unix.Openat(d.fd, ".", flags|unix.O_TMPFILE, 0o600) })
	if err == nil {
		defer CloseRead(fd)
		ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: sec, Nsec: nsec}}
		if err := retry(func() error { return unix.UtimesNanoAt(fd, "", ts, unix.AT_EMPTY_PATH) }); err == nil {
			return Fstat(fd)
		}
	}
	if fd, err = d.CreateFile(name, 0o600); err != nil {
		return Stat{}, err
	}
	err = cmp.Or(Close(fd), d.SetTime(name, sec, nsec))
	st, serr := d.Lstat(name)
	return st, errors.Join(err, serr, d.Unlink(name))
}

// Rename moves a name within d. Unless replace is set, a name that is taken gives
// EEXIST.
func (d *Dir) Rename(from, to string, replace bool) error {
	if replace {
		return retry(func() error { return unix.Renameat(d.fd, from, d.fd, to) })
	}
	err := retry(func() error { return unix.Renameat2(d.fd, from, d.fd, to, unix.RENAME_NOREPLACE) })
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// A file system without that flag: a link never replaces either.
	err = d.Link(from, d, to)
	if err == nil {
		return d.Unlink(from)
	}
	if errors.Is(err, unix.EEXIST) {
		return err
	}
	// And without links nothing is left but to look: who makes the name in between loses it.
	if _, err := d.Lstat(to); !errors.Is(err, unix.ENOENT) {
		return cmp.Or(err, error(unix.EEXIST))
	}
	return retry(func() error { return unix.Renameat(d.fd, from, d.fd, to) })
}

// Link gives a file in d another name, not following it; EEXIST when that is taken.
func (d *Dir) Link(from string, other *Dir, to string) error {
	return retry(func() error { return unix.Linkat(d.fd, from, other.fd, to, 0) })
}

// Mkdir makes a directory.
func (d *Dir) Mkdir(name string, mode uint32) error {
	return retry(func() error { return unix.Mkdirat(d.fd, name, mode) })
}

// Symlink makes a symbolic link.
func (d *Dir) Symlink(target, name string) error {
	return retry(func() error { return unix.Symlinkat(target, d.fd, name) })
}

// Mknod makes a fifo or, for the privileged, a device. mode holds the type.
func (d *Dir) Mknod(name string, mode uint32, major, minor uint32) error {
	dev := unix.Mkdev(major, minor)
	return retry(func() error { return unix.Mknodat(d.fd, name, mode, int(dev)) })
}

// Chmodat sets the permission bits of a name in d that is no symbolic link, and
// that cannot be opened. Whoever may write to d cannot redirect it. It takes
// Linux 6.6, or /proc.
func (d *Dir) Chmodat(name string, mode uint32) error {
	err := retry(func() error { return unix.Fchmodat(d.fd, name, mode, unix.AT_SYMLINK_NOFOLLOW) })
	if errors.Is(err, unix.EOPNOTSUPP) {
		return d.chmodProc(name, mode)
	}
	return err
}

// chmodProc does the same through /proc, which leads to the very file that a descriptor is
// of, whatever has its name by then.
func (d *Dir) chmodProc(name string, mode uint32) error {
	fd, err := retryInt(func() (int, error) { return unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0) })
	if err != nil {
		return err
	}
	defer CloseRead(fd)
	st, err := Fstat(fd)
	switch {
	case err != nil:
		return err
	case st.Type() == unix.S_IFLNK:
		return unix.EOPNOTSUPP
	}
	return retry(func() error { return unix.Chmod(procFDs+strconv.Itoa(fd), mode) })
}

// Unlink removes a name that is no directory.
func (d *Dir) Unlink(name string) error {
	return retry(func() error { return unix.Unlinkat(d.fd, name, 0) })
}

// TryLock takes an advisory lock on the directory, given up when it is closed. It
// gives EWOULDBLOCK when another holds it.
func (d *Dir) TryLock() error {
	return retry(func() error { return unix.Flock(d.fd, unix.LOCK_EX|unix.LOCK_NB) })
}
