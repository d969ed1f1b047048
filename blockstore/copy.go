package blockstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
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
		removeCopies(parent)
		c, err := newCopy(parent)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err = copyFiles(dir, c.index()); err == nil {
			s.copied = c
			return c.index(), nil
		}
		errs = append(errs, err, c.remove())
	}
	return "", fmt.Errorf("copy the index, whose size is that of %s, to where temporary files go (TMPDIR): %w", dir, errors.Join(errs...))
}

// copyPrefix begins the names of copies.
const copyPrefix = "decube-index-"

// indexCopy is a directory for a copy of an index, which is locked for as long as it is in
// use: Badger needs the names of its files, so that those of a process that is killed stay
// until somebody finds the lock free. Badger locks its own directory, which is below.
type indexCopy struct{ lock *os.File }

func (c *indexCopy) index() string { return filepath.Join(c.lock.Name(), indexDir) }

// newCopy makes a directory and locks it.
func newCopy(parent string) (*indexCopy, error) {
	for {
		path, err := os.MkdirTemp(parent, copyPrefix)
		if err != nil {
			return nil, err
		}
		// Who looks for what is left may have come between.
		c, err := lockCopy(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, os.Remove(path))
		}
		if err = os.Mkdir(c.index(), 0o700); err == nil {
			return c, nil
		}
		if rerr := c.remove(); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, rerr)
		}
	}
}

// lockCopy locks the directory of a copy, if it is this user's and nobody uses it.
func lockCopy(path string) (*indexCopy, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(f.Fd()), &st); err == nil && int(st.Uid) != os.Geteuid() {
		err = unix.EPERM
	}
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return &indexCopy{f}, nil
}

// remove removes the directory, and unlocks it then.
func (c *indexCopy) remove() error {
	return errors.Join(os.RemoveAll(c.lock.Name()), c.lock.Close())
}

// removeCopies removes the copies in a directory that this user's processes have left. What
// cannot be removed only takes room.
func removeCopies(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), copyPrefix) {
			continue
		}
		if c, err := lockCopy(filepath.Join(parent, e.Name())); err == nil {
			_ = c.remove()
		}
	}
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
