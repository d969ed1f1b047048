package fsys

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// CloseRead closes a file that was only read.
func CloseRead(fd int) { _ = unix.Close(fd) }

// ReadAt reads into p at offset off until p is full or the file ends, and returns
// the number of bytes read.
func ReadAt(fd int, p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		m, err := retryInt(func() (int, error) { return unix.Pread(fd, p[n:], off+int64(n)) })
		if err != nil || m == 0 {
			return n, err
		}
		n += m
	}
	return n, nil
}

// Data returns the first run of data in [off, size) of an open file: it begins at
// start and ends at end; start == size says that the rest is a hole. A file system
// that cannot tell has data everywhere, and so has a file that becomes shorter meanwhile:
// reading shows where it ends.
func Data(fd int, off, size int64) (start, end int64, err error) {
	start, err = seek(fd, off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, size, nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTSUP):
		return off, size, nil
	case err != nil:
		return 0, 0, err
	case start >= size:
		return size, size, nil
	}
	end, err = seek(fd, start, unix.SEEK_HOLE)
	switch {
	case errors.Is(err, unix.ENXIO): // the file ends before start now
		return start, size, nil
	case err != nil:
		return 0, 0, err
	}
	return start, min(end, size), nil
}

func seek(fd int, off int64, whence int) (int64, error) {
	for {
		n, err := unix.Seek(fd, off, whence)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Reader reads an open file from an offset on.
type Reader struct {
	Fd  int
	Off int64
	// Most, if not 0, is how many bytes are asked for at a time: some files of procfs
	// refuse to be asked for much.
	Most int
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.Most > 0 && len(p) > r.Most {
		p = p[:r.Most]
	}
	n, err := ReadAt(r.Fd, p, r.Off)
	r.Off += int64(n)
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// Sequential tells the kernel that an open file will be read from front to back.
// It is advice: a failure changes nothing.
func Sequential(fd int) { _ = unix.Fadvise(fd, 0, 0, unix.FADV_SEQUENTIAL) }
