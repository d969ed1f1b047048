// Package fsys makes file-system calls relative to open directories, so that
// nobody who changes the tree at the same time can lead them elsewhere: names are
// single components, paths are walked without following symbolic links, and
// nothing is opened that could block or have side effects.
//
// Every call is retried when a signal interrupts it. Errors are [syscall.Errno]
// values; callers add what was tried on what.
package fsys

import (
	"errors"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Dir is an open directory. Its methods may be called concurrently, but not
// together with Close.
type Dir struct {
	fd      int
	listing sync.Mutex // the place in the list of names belongs to the descriptor
}

// OpenRoot opens the directory that a user named; symbolic links in path are followed.
func OpenRoot(path string) (*Dir, error) {
	fd, err := retryInt(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	return &Dir{fd: fd}, nil
}

// Close closes the directory. There is nothing that closing it could fail to write.
func (d *Dir) Close() { _ = unix.Close(d.fd) }

// Fd returns the descriptor, which stays owned by d.
func (d *Dir) Fd() int { return d.fd }

const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// OpenDir opens the directory at a relative path of clean components; the empty
// path opens d once more. A symbolic link anywhere in it gives ELOOP or ENOTDIR, and a
// path that leads out of d EXDEV.
func (d *Dir) OpenDir(rel string) (*Dir, error) {
	if rel == "" {
		rel = "."
	}
	if len(rel) < unix.PathMax {
		fd, err := openBeneath(d.fd, rel, dirFlags, 0)
		if !errors.Is(err, unix.ENOSYS) {
			if err != nil {
				return nil, err
			}
			return &Dir{fd: fd}, nil
		}
	}
	return d.openSteps(rel)
}

// openSteps opens a directory component by component, for paths that are too long
// for one call and for kernels before 5.6.
func (d *Dir) openSteps(rel string) (*Dir, error) {
	cur := &Dir{fd: -1}
	from := d.fd
	for name := range strings.SplitSeq(rel, "/") {
		if name == ".." { // the one call refuses to leave d; here nobody else would
			if cur.fd >= 0 {
				cur.Close()
			}
			return nil, unix.EXDEV
		}
		fd, err := retryInt(func() (int, error) { return unix.Openat(from, name, dirFlags, 0) })
		if cur.fd >= 0 {
			cur.Close()
		}
		if err != nil {
			return nil, err
		}
		cur.fd, from = fd, fd
	}
	return cur, nil
}

func openBeneath(dirfd int, rel string, flags int, mode uint32) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags),
		Mode:    uint64(mode),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	return retryInt(func() (int, error) { return unix.Openat2(dirfd, rel, &how) })
}

// OpenFile opens a name for reading without following it, without waiting (a fifo
// opens at once) and, where permitted, without changing its access time.
func (d *Dir) OpenFile(name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := retryInt(func() (int, error) { return unix.Openat(d.fd, name, flags|unix.O_NOATIME, 0) })
	if errors.Is(err, unix.EPERM) {
		fd, err = retryInt(func() (int, error) { return unix.Openat(d.fd, name, flags, 0) })
	}
	return fd, err
}

// CheckWritable returns nil if names can be made in the directory by this user, as far as
// its modes and attributes say.
func (d *Dir) CheckWritable() error {
	return retry(func() error { return unix.Faccessat(d.fd, ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS) })
}

// Readlink returns the target of a symbolic link.
func (d *Dir) Readlink(name string) ([]byte, error) {
	buf := make([]byte, 256)
	for {
		n, err := retryInt(func() (int, error) { return unix.Readlinkat(d.fd, name, buf) })
		if err != nil {
			return nil, err
		}
		if n < len(buf) {
			return buf[:n], nil
		}
		buf = make([]byte, 4*len(buf))
	}
}

// retryInt repeats a system call that a signal interrupted.
func retryInt(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
