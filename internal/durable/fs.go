package durable

import (
	"errors"
	"io"
	"io/fs"
)

// Align is what offsets, lengths and the memory of direct writes must be
// multiples of, in bytes.
const Align = 4096

// ErrUnsupported is returned where the platform or the file system cannot do
// what was asked, for instance punch holes.
var ErrUnsupported = errors.New("not supported by this file system")

// FS is the file system as far as durable data needs it. Implementations are
// safe for concurrent use.
type FS interface {
	// MkdirAll makes a directory and its parents. The new names are durable.
	MkdirAll(dir string, perm fs.FileMode) error
	// ReadDir returns the names of the entries of dir, in order.
	ReadDir(dir string) ([]string, error)
	// ReadFile returns a whole file.
	ReadFile(name string) ([]byte, error)
	// WriteFile replaces a file atomically: after a crash it holds either the
	// old or the new content, after a return of nil it durably holds the new.
	WriteFile(name string, data []byte, perm fs.FileMode) error
	// Create makes a file that must not exist and opens it like OpenWrite. The
	// name is durable only after SyncDir.
	Create(name string, perm fs.FileMode) (File, error)
	// OpenWrite opens a file for aligned writes that bypass the page cache
	// where the file system can do so.
	OpenWrite(name string) (File, error)
	// OpenRead opens a file for reading at any offset, and for punching holes.
	OpenRead(name string) (File, error)
	// Rename renames a file within its file system, replacing the target.
	Rename(from, to string) error
	// Remove deletes a file.
	Remove(name string) error
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
	// Free returns the bytes an unprivileged process may still write below dir.
	Free(dir string) (int64, error)
}

// File is an open file. Its methods are safe for concurrent use as far as the
// ranges of concurrent writes do not overlap.
type File interface {
	io.ReaderAt
	io.Closer
	// WriteAt writes all of p. On a file opened for writing, off, len(p) and
	// the address of p must be multiples of Align (see AlignedBuffer).
	WriteAt(p []byte, off int64) (int, error)
	// Prefetch begins to bring a range into memory, as a hint.
	Prefetch(off, n int64)
	// Sync makes the file's bytes and size durable (fdatasync).
	Sync() error
	// Allocate reserves disk space for a range that reads as zeros, growing the
	// file to cover it. It is a hint where file systems cannot reserve space;
	// a full disk is reported as ENOSPC.
	Allocate(off, n int64) error
	// PunchHole frees the space of a range, which reads as zeros from then on.
	// The file's size stays. It may return ErrUnsupported.
	PunchHole(off, n int64) error
	// Truncate sets the file's size.
	Truncate(size int64) error
	// Size returns the file's size in bytes.
	Size() (int64, error)
	// DataBytes returns how many bytes of a range occupy written disk blocks;
	// holes and space that was only reserved do not count.
	DataBytes(off, n int64) (int64, error)
}
