package fsys

import (
	"errors"
	"math"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Since Linux 6.13 there are calls for attributes relative to an open directory. Before,
// and where a sandbox does not know them, the way leads through /proc: the kernel resolves
// /proc/self/fd/N to the directory itself, and a name is a single component.

const procFDs = "/proc/self/fd/"

// xattrArgs is struct xattr_args of linux/xattr.h.
type xattrArgs struct {
	value uint64
	size  uint32
	flags uint32
}

func (d *Dir) listXattr(file string, buf []byte) (int, error) {
	path, err := unix.BytePtrFromString(file)
	if err != nil {
		return 0, err
	}
	n, _, errno := unix.Syscall6(unix.SYS_LISTXATTRAT, uintptr(d.fd), uintptr(unsafe.Pointer(path)), unix.AT_SYMLINK_NOFOLLOW,
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0)
	return d.orProc(unix.SYS_LISTXATTRAT, n, errno, file, func(path string) (int, error) { return unix.Llistxattr(path, buf) })
}

func (d *Dir) getXattr(file, name string, buf []byte) (int, error) {
	return d.xattrAt(unix.SYS_GETXATTRAT, file, name, buf, func(path string) (int, error) { return unix.Lgetxattr(path, name, buf) })
}

func (d *Dir) setXattr(file, name string, value []byte) error {
	_, err := d.xattrAt(unix.SYS_SETXATTRAT, file, name, value, func(path string) (int, error) { return 0, unix.Lsetxattr(path, name, value, 0) })
	return err
}

// xattrAt makes a call about one attribute.
func (d *Dir) xattrAt(call uintptr, file, name string, value []byte, proc func(path string) (int, error)) (int, error) {
	path, err := unix.BytePtrFromString(file)
	if err != nil {
		return 0, err
	}
	attr, err := unix.BytePtrFromString(name)
	if err != nil {
		return 0, err
	}
	args := xattrArgs{size: uint32(len(value))}
	// The kernel's structure has the address as a number, which keeps nothing in its place.
	var pinner runtime.Pinner
	defer pinner.Unpin()
	if len(value) > 0 {
		data := unsafe.SliceData(value)
		pinner.Pin(data)
		args.value = uint64(uintptr(unsafe.Pointer(data)))
	}
	n, _, errno := unix.Syscall6(call, uintptr(d.fd), uintptr(unsafe.Pointer(path)), unix.AT_SYMLINK_NOFOLLOW,
		uintptr(unsafe.Pointer(attr)), uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args))
	return d.orProc(call, n, errno, file, proc)
}

// orProc returns what a call gave, or goes through /proc if there is no such call.
func (d *Dir) orProc(call, n uintptr, errno unix.Errno, file string, proc func(path string) (int, error)) (int, error) {
	switch {
	case errno == 0:
		return int(n), nil
	case errno != unix.ENOSYS && errno != unix.EPERM, errno == unix.EPERM && exists(call):
		return 0, errno
	}
	m, err := proc(procFDs + strconv.Itoa(d.fd) + "/" + file)
	if errors.Is(err, unix.ENOENT) && unix.Access(procFDs, unix.F_OK) != nil {
		return 0, ErrNoProc
	}
	return m, err
}

// exists reports whether the kernel knows one of these calls, and no sandbox keeps it away:
// some of those answer as if something were not permitted. The kernel looks first whether
// the flags and the size of the arguments make sense.
func exists(call uintptr) bool {
	_, _, errno := unix.Syscall6(call, 0, 0, math.MaxUint32, 0, 0, 0)
	return errno == unix.EINVAL
}
