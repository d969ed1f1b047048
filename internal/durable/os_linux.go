package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openWrite opens a file for aligned writes with O_DIRECT, and without where
// the file system refuses it (as some network and overlay file systems do).
func openWrite(name string, flags int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|flags|unix.O_DIRECT, perm)
	if errors.Is(err, unix.EINVAL) {
		// The refused open may have created the file already.
		f, err = os.OpenFile(name, os.O_RDWR|flags&^os.O_EXCL, perm)
	}
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

func datasync(f *os.File) error {
	return control(f, func(fd int) error { return unix.Fdatasync(fd) })
}

// allocate reserves space. Where the file system cannot, nothing is done: the
// write itself will then find the disk full.
func allocate(f *os.File, off, n int64) error {
	err := control(f, func(fd int) error { return unix.Fallocate(fd, 0, off, n) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

func prefetch(f *os.File, off, n int64) {
	_ = control(f, func(fd int) error { return unix.Fadvise(fd, off, n, unix.FADV_WILLNEED) }) // a hint
}

func punchHole(f *os.File, off, n int64) error {
	err := control(f, func(fd int) error {
		return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return errors.Join(ErrUnsupported, err)
	}
	return err
}

// dataBytes walks the file's extents. The descriptor's file offset is used for
// nothing else: all reads and writes are positioned.
func dataBytes(f *os.File, off, n int64) (total int64, err error) {
	end := off + n
	err = control(f, func(fd int) error {
		for off < end {
			data, err := unix.Seek(fd, off, unix.SEEK_DATA)
			if errors.Is(err, unix.ENXIO) {
				return nil // no data up to the end of the file
			}
			if err != nil {
				return err
			}
			if data >= end {
				return nil
			}
			hole, err := unix.Seek(fd, data, unix.SEEK_HOLE)
			if err != nil {
				return err
			}
			total += min(hole, end) - data
			off = hole
		}
		return nil
	})
	return total, err
}

func allocated(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return fi.Size()
}

func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// control calls op with the descriptor, again when a signal interrupts it.
func control(f *os.File, op func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var opErr error
	if err := raw.Control(func(fd uintptr) {
		opErr = retry(func() error { return op(int(fd)) })
	}); err != nil {
		return err
	}
	return opErr
}

func retry(op func() error) error {
	for {
		if err := op(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// mapAnonymous returns zeroed page-aligned memory outside the Go heap, in huge
// pages where the kernel has them: a direct write then pins few pages.
func mapAnonymous(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // advice only; kernels without huge pages refuse it
	return b, nil
}

func unmap(b []byte) error { return unix.Munmap(b) }
