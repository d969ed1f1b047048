package blockstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// memoryDir is where there may be room when there is none for temporary files.
const memoryDir = "/dev/shm"

// indexDir returns the directory of the index, of a store that is open for reading
// only that of a copy. The copy is what Badger puts in order after a crash, and
// writes its stamps and counts to; it is removed with the store.
func (s *Store) indexDir() (string, error) {
	dir := filepath.Join(s.dir, indexDir)
	if !s.ro {
		return dir, nil
	}
	var errs []error
	for _, parent := range []string{os.TempDir(), memoryDir} {
		to, err := os.MkdirTemp(parent, "decube-index-")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err = copyFiles(dir, to); err == nil {
			s.copied = to
			return to, nil
		}
		errs = append(errs, err, os.RemoveAll(to))
	}
	return "", fmt.Errorf("copy the index, whose size is that of %s, to where temporary files go (TMPDIR): %w", dir, errors.Join(errs...))
}

// copyFiles copies the files of a directory. One that does not exist is empty.
func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file and leaves holes where it has zeros: Badger's logs are
// longer than what is in them.
func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	buf, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(src, buf)
		if n > 0 && !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := dst.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return dst.Truncate(at)
		}
		if err != nil {
			return err
		}
	}
}
