package main

import (
	"errors"

	"golang.org/x/sys/unix"
)

// setAttribute sets an extended attribute where the file system has them.
func setAttribute(path, name, value string) error {
	err := unix.Setxattr(path, name, []byte(value), 0)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}
