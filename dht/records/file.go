package records

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/decube/decube/internal/durable"
)

// File is where slots lie. It is used by one goroutine at a time.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Truncate sets the size in bytes; what is added is zeros.
	Truncate(size int64) error
	// Size returns the size in bytes.
	Size() (int64, error)
}

// diskFile is a file of the system, which writes when it likes.
type diskFile struct{ *os.File }

// OpenFile opens a file for records, and makes it, with its directory, if there is none. What is no
// regular file of that name, such as a link to one, is an error, and is not written to: a file of
// another format is begun anew.
func OpenFile(name string) (File, error) {
	if err := durable.OS.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	if err := checkFile(f, name); err != nil {
		return nil, errors.Join(fmt.Errorf("records: %w", err), f.Close())
	}
	return diskFile{f}, nil
}

// checkFile returns an error unless a file that is open is the regular one of that name.
func checkFile(f *os.File, name string) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Lstat(name); err != nil || !opened.Mode().IsRegular() || !os.SameFile(opened, named) {
		return fmt.Errorf("%s is no regular file: remove it", name)
	}
	return nil
}

// Size implements File.
func (f diskFile) Size() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// Memory is a File that lasts as long as the process. Its size is what was written.
type Memory struct {
	parts [][]byte
	size  int64
}

const partSize = 1 << 20

// ReadAt implements io.ReaderAt.
func (m *Memory) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) && off < m.size {
		part := m.parts[off/partSize][off%partSize:]
		part = part[:min(int64(len(part)), m.size-off)]
		done := copy(b[n:], part)
		n, off = n+done, off+int64(done)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements io.WriterAt.
func (m *Memory) WriteAt(b []byte, off int64) (int, error) {
	if err := m.Truncate(max(m.size, off+int64(len(b)))); err != nil {
		return 0, err
	}
	for n := 0; n < len(b); {
		done := copy(m.parts[off/partSize][off%partSize:], b[n:])
		n, off = n+done, off+int64(done)
	}
	return len(b), nil
}

// Truncate implements File.
func (m *Memory) Truncate(size int64) error {
	if size < 0 {
		return errors.New("a size is negative")
	}
	for int64(len(m.parts))*partSize < size {
		m.parts = append(m.parts, make([]byte, partSize))
	}
	parts := (size + partSize - 1) / partSize
	clear(m.parts[parts:])
	m.parts = m.parts[:parts]
	if rest := size % partSize; rest > 0 && size < m.size {
		clear(m.parts[parts-1][rest:])
	}
	m.size = size
	return nil
}

// Size implements File.
func (m *Memory) Size() (int64, error) { return m.size, nil }

// Close implements io.Closer.
func (m *Memory) Close() error { return nil }
