package fsys

import (
	"bytes"
	"errors"
	"sort"
	"strconv"

	"golang.org/x/sys/unix"
)

// Xattr is one extended attribute.
type Xattr struct{ Name, Value []byte }

// Xattrs returns the extended attributes of an open file in ascending order of name.
// A file system without them gives none.
func Xattrs(fd int) ([]Xattr, error) {
	return xattrs(
		func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) },
		func(name string, buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
}

// Xattrs returns the extended attributes of a name in d, not following it: for what
// cannot be opened, such as symbolic links and devices. It needs /proc.
func (d *Dir) Xattrs(name string) ([]Xattr, error) {
	path := d.procPath(name)
	return xattrs(
		func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) },
		func(attr string, buf []byte) (int, error) { return unix.Lgetxattr(path, attr, buf) })
}

// procPath names an entry of d for calls that know no directory descriptors. The
// kernel resolves the first part to d itself, and name is a single component.
func (d *Dir) procPath(name string) string {
	return "/proc/self/fd/" + strconv.Itoa(d.fd) + "/" + name
}

// SetXattr sets an extended attribute of an open file.
func SetXattr(fd int, name string, value []byte) error {
	return retry(func() error { return unix.Fsetxattr(fd, name, value, 0) })
}

// SetXattr sets an extended attribute of a name in d, not following it. It needs /proc.
func (d *Dir) SetXattr(file, name string, value []byte) error {
	return retry(func() error { return unix.Lsetxattr(d.procPath(file), name, value, 0) })
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
	for name := range bytes.SplitSeq(bytes.TrimSuffix(bytes.Clone(names), []byte{0}), []byte{0}) {
		value, err := fill(small[:], func(buf []byte) (int, error) { return get(string(name), buf) })
		if errors.Is(err, unix.ENODATA) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, err
		}
		out = append(out, Xattr{Name: name, Value: bytes.Clone(value)})
	}
	sort.Slice(out, func(i, j int) bool { return bytes.Compare(out[i].Name, out[j].Name) < 0 })
	return out, nil
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
