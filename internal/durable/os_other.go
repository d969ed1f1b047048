//go:build !linux

package durable

import (
	"io/fs"
	"math"
	"os"
)

// Where the kernel's calls for direct writes, reservation and holes are not
// wired up, files are written through the page cache and never shrink inside.

func openWrite(name string, flags int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|flags, perm)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

func datasync(f *os.File) error { return f.Sync() }

func allocate(*os.File, int64, int64) error { return nil }

func prefetch(*os.File, int64, int64) {}

func punchHole(*os.File, int64, int64) error { return ErrUnsupported }

func dataBytes(_ *os.File, _, n int64) (int64, error) { return n, nil }

func allocated(fi fs.FileInfo) int64 { return fi.Size() }

func freeSpace(string) (int64, error) { return math.MaxInt64, nil }

func mapAnonymous(n int) ([]byte, error) { return make([]byte, n), nil }

func unmap([]byte) error { return nil }
