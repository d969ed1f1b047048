package fsys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Generation tells apart the files that had one inode number one after the other. The
// zero value is that of a file whose file system has none, or does not say.
type Generation struct {
	Number int
	Known  bool
}

// GenerationOf returns an open file's generation.
func GenerationOf(fd int) Generation {
	n, err := retryInt(func() (int, error) { return unix.IoctlGetInt(fd, getVersion) })
	return Generation{n, err == nil}
}

// Is reports whether two files of one inode number can be the same: if both say, they
// have to say the same.
func (g Generation) Is(o Generation) bool {
	return !g.Known || !o.Known || g.Number == o.Number
}

// getVersion is FS_IOC_GETVERSION: _IOR('v', 1, long).
var getVersion = func() uint {
	read := uint(2) << 30
	switch runtime.GOARCH {
	case "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le":
		read = 2 << 29
	}
	return read | uint(unsafe.Sizeof(uintptr(0)))<<16 | 'v'<<8 | 1
}()
