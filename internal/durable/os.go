package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
)

// OS is the operating system's file system.
var OS FS = osFS{}

type osFS struct{}

// WriteFile replaces a file of the operating system atomically and durably; see
// FS.WriteFile.
func WriteFile(name string, data []byte, perm fs.FileMode) error {
	return OS.WriteFile(name, data, perm)
}

// SyncDir makes the names in a directory of the operating system durable.
func SyncDir(dir string) error { return OS.SyncDir(dir) }

// SyncFile makes the bytes of a file durable, also those that other descriptors
// or shared memory maps wrote.
func SyncFile(name string) (err error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := datasync(f); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: name, Err: err}
	}
	return nil
}

// DiskUsage returns the bytes that a file occupies on the disk, holes excluded.
func DiskUsage(name string) (int64, error) {
	fi, err := os.Lstat(name)
	if err != nil {
		return 0, err
	}
	return allocated(fi), nil
}

func (osFS) MkdirAll(dir string, perm fs.FileMode) error {
	if fi, err := os.Stat(dir); err == nil {
		if !fi.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("exists and is not a directory")}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := OS.MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return OS.SyncDir(parent)
}

func (osFS) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

func (osFS) WriteFile(name string, data []byte, perm fs.FileMode) error {
	// The temporary file is made beside its target: TMPDIR may be elsewhere.
	dir := filepath.Dir(name)
	if err := renameio.WriteFile(name, data, perm, renameio.WithTempDir(dir), renameio.WithStaticPermissions(perm)); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	return OS.SyncDir(dir)
}

func (osFS) Create(name string, perm fs.FileMode) (File, error) {
	return openWrite(name, os.O_CREATE|os.O_EXCL, perm)
}

func (osFS) OpenWrite(name string) (File, error) { return openWrite(name, 0, 0) }

func (osFS) OpenRead(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		f, err = os.Open(name) // a read-only store can still be read
	}
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) SyncDir(dir string) (err error) {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("fsync of a directory: %w", err)
	}
	return nil
}

func (osFS) Free(dir string) (int64, error) { return freeSpace(dir) }

// osFile is a file of the operating system; positioned reads and writes come
// from os.File.
type osFile struct{ *os.File }

func (f *osFile) Sync() error {
	if err := datasync(f.File); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

func (f *osFile) Size() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (f *osFile) Prefetch(off, n int64) { prefetch(f.File, off, n) }

func (f *osFile) Allocate(off, n int64) error {
	if err := allocate(f.File, off, n); err != nil {
		return &fs.PathError{Op: "allocate", Path: f.Name(), Err: err}
	}
	return nil
}

func (f *osFile) PunchHole(off, n int64) error {
	if err := punchHole(f.File, off, n); err != nil {
		return &fs.PathError{Op: "punch hole", Path: f.Name(), Err: err}
	}
	return nil
}

func (f *osFile) DataBytes(off, n int64) (int64, error) {
	d, err := dataBytes(f.File, off, n)
	if err != nil {
		return 0, &fs.PathError{Op: "seek data", Path: f.Name(), Err: err}
	}
	return d, nil
}
