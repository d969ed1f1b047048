package compare

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

func modified(s *syscall.Stat_t) syscall.Timespec { return s.Mtim }

// xattrs returns the extended attributes of a name, none where the file system
// has none.
func xattrs(path string) (map[string]string, error) {
	names, err := sized(func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing extended attributes of %s: %w", path, err)
	}
	out := map[string]string{}
	for name := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		if len(name) == 0 {
			continue
		}
		value, err := sized(func(buf []byte) (int, error) { return unix.Lgetxattr(path, string(name), buf) })
		if err != nil {
			return nil, fmt.Errorf("reading extended attribute %q of %s: %w", name, path, err)
		}
		out[string(name)] = string(value)
	}
	return out, nil
}

// sized calls a function that tells how much it would write into an empty buffer,
// then with one of that size.
func sized(call func([]byte) (int, error)) ([]byte, error) {
	n, err := call(nil)
	if err != nil || n == 0 {
		return nil, err
	}
	buf := make([]byte, n)
	n, err = call(buf)
	return buf[:max(0, n)], err
}
