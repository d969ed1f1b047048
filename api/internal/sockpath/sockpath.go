// Package sockpath makes unix sockets work whose path is longer than the kernel
// takes (108 bytes on Linux): they are named through an open directory.
package sockpath

import (
	"fmt"
	"os"
	"path/filepath"
)

// longest is what every system takes in a socket address, its final NUL included.
const longest = 104

// Short returns a name for the socket at path that fits a socket address, valid
// until release is called.
func Short(path string) (short string, release func() error, err error) {
	if len(path) < longest {
		return path, func() error { return nil }, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, fmt.Errorf("opening the directory of a socket: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), dir.Close, nil
}
