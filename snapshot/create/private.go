package create

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
)

// private are the files that have no place in any snapshot. They are known by their
// inodes: a bind mount, a symbolic link in the path or a second name hides none of them.
// Those with other inodes are known by marks.
type private map[inode]struct{}

// privateIn finds what is in directories, and they themselves. What is not there, or not
// for this user to see, cannot be in the snapshot either.
func privateIn(dirs []string) private {
	all := make(private)
	for _, dir := range dirs {
		resolved, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue
		}
		// An error is of one entry, which is left out of the set then.
		_ = filepath.WalkDir(resolved, func(path string, _ fs.DirEntry, err error) error {
			var st unix.Stat_t
			if unix.Lstat(path, &st) == nil {
				all[inode{uint64(st.Dev), st.Ino}] = struct{}{} //nolint:unconvert // the type differs between architectures
			}
			if err != nil {
				return fs.SkipDir
			}
			return nil
		})
	}
	return all
}

func (p private) has(st *fsys.Stat) bool {
	_, is := p[inode{st.Dev, st.Ino}]
	return is
}

// marks reports whether names are of a directory that is private by what it holds. An
// overlay, a copy or a snapshot of the file system has other inodes than the original, and
// the same secrets.
func (o *Options) marks(has func(name string) bool) bool {
	return len(o.PrivateMark) > 0 && !slices.ContainsFunc(o.PrivateMark, func(name string) bool { return !has(name) })
}

// checkTop refuses a directory, or a file in it, that is private. The directory is at the
// resolved path dir.
func (c *creator) checkTop(dir, file string) error {
	for {
		if c.opts.marks(func(name string) bool { _, err := os.Lstat(filepath.Join(dir, name)); return err == nil }) {
			return fmt.Errorf("snapshot %s: %w", c.opts.Path, ErrPrivate)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	st, err := c.root.Stat()
	if err == nil && file != "" && !c.private.has(&st) {
		st, err = c.root.Lstat(file)
	}
	switch {
	case err != nil:
		return fmt.Errorf("snapshot %s: %w", c.opts.Path, err)
	case c.private.has(&st):
		return fmt.Errorf("snapshot %s: %w", c.opts.Path, ErrPrivate)
	}
	return nil
}

// few is the first snapshot.MaxListed of any number of paths.
type few struct {
	first []string
	count int64
}

// leaveOut takes note of what is not taken by rule.
func (c *creator) leaveOut(list *few, path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if list.count++; len(list.first) < snapshot.MaxListed {
		list.first = append(list.first, path)
	}
}

// cacheTag is the name of the file that marks a directory as a cache, and cacheSignature
// what it begins with: see https://bford.info/cachedir/.
const (
	cacheTag       = "CACHEDIR.TAG"
	cacheSignature = "Signature: 8a477f597d28d172789f06886806bc55"
)

// isCache reports whether a directory says that it is a cache. One that cannot be asked
// is taken.
func isCache(dir *fsys.Dir) bool {
	fd, err := dir.OpenFile(cacheTag)
	if err != nil {
		return false
	}
	defer fsys.CloseRead(fd)
	var head [len(cacheSignature)]byte
	n, err := fsys.ReadAt(fd, head[:], 0)
	return err == nil && string(head[:n]) == cacheSignature
}

// ErrPrivate is returned for a Path within a directory that no snapshot holds.
var ErrPrivate = errors.New("it is part of what no snapshot holds")
