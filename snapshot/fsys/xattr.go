package fsys

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"golang.org/x/sys/unix"
)

// Xattr is one extended attribute.
type Xattr struct{ Name, Value []byte }

// ErrNoProc is returned where the attributes of what cannot be opened are out of reach:
// the kernel is older than 6.13, and /proc is not mounted.
var ErrNoProc = errors.New("it takes /proc, or Linux 6.13")

// Xattrs returns the extended attributes of an open file in ascending order of name, and
// those that could be read with an error that tells of the others. A file system without
// them gives none.
func Xattrs(fd int) ([]Xattr, error) {
	return xattrs(
		func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) },
		func(name string, buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
}

// Xattrs does the same for a name in d, which it does not follow: for what cannot be
// opened, such as symbolic links and devices. The error may be ErrNoProc.
func (d *Dir) Xattrs(name string) ([]Xattr, error) {
	return xattrs(
		func(buf []byte) (int, error) { return d.listXattr(name, buf) },
		func(attr string, buf []byte) (int, error) { return d.getXattr(name, attr, buf) })
}

// SetXattr sets an extended attribute of an open file.
func SetXattr(fd int, name string, value []byte) error {
	return retry(func() error { return unix.Fsetxattr(fd, name, value, 0) })
}

// SetXattr sets an extended attribute of a name in d, not following it. The error may be
// ErrNoProc.
func (d *Dir) SetXattr(file, name string, value []byte) error {
	return retry(func() error { return d.setXattr(file, name, value) })
}

func xattrs(list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]Xattr, error) {
	var small [1024]byte
	names, err := fill(small[:], list)
	if errors.Is(err, unix.ENOTSUP) || err == nil && len(names) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Xattr
	var failed error
	for name := range bytes.SplitSeq(bytes.TrimSuffix(bytes.Clone(names), []byte{0}), []byte{0}) {
		value, err := fill(small[:], func(buf []byte) (int, error) { return get(string(name), buf) })
		switch {
		case errors.Is(err, unix.ENODATA): // removed since it was listed
		case err != nil && failed == nil:
			failed = fmt.Errorf("%s: %w", name, err)
		case err == nil:
			out = append(out, Xattr{Name: name, Value: bytes.Clone(value)})
		}
	}
	sort.Slice(out, func(i, j int) bool { return bytes.Compare(out[i].Name, out[j].Name) < 0 })
	return out, failed
}

// fill calls a function that wants a large enough buffer. The result may alias buf.
func fill(buf []byte, call func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := retryInt(func() (int, error) { return call(buf) })
		if errors.Is(err, unix.ERANGE) && len(buf) < 1<<20 {
			buf = make([]byte, 16*len(buf))
			continue
		}
		return buf[:max(n, 0)], err
	}
}
