package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gofrs/flock"

	"github.com/decube/decube/internal/durable"
)

// Guard is a held repository lock.
type Guard struct {
	flock *flock.Flock
}

// Lock takes the repository's lock, which no two processes (nor two Guards of
// one process) can hold at once; the kernel releases it when its holder dies.
// While it is held elsewhere, Lock returns ErrLocked at once, naming the holder; to
// another user than the repository's it returns ErrOwner and leaves nothing behind.
// It works on a directory without a repository too, which Init relies on.
func Lock(dir string) (*Guard, error) {
	if err := checkOwner(dir); err != nil {
		return nil, err
	}
	path := Dir(dir).LockFile()
	l := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|ownFile))
	held, err := l.TryLock()
	if err == nil && held {
		err = checkFile(l)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking the repository: %w", noLink(path, err)), l.Close())
	}
	if !held {
		return nil, fmt.Errorf("%w: %s is held by %s; stop it first, or use another repository with --repo or %s",
			ErrLocked, dir, holder(path), EnvPath)
	}
	// The process id is for error messages of others only.
	note(l, strconv.Itoa(os.Getpid())+"\n")
	removeLeftovers(Dir(dir))
	return &Guard{l}, nil
}

// ownFile has a lock file opened that is none neither followed nor waited for.
const ownFile = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// checkFile returns an error for a lock file that somebody may have put there who wants
// something else to be written to, or that is not in its place any more: another process
// would lock another one.
func checkFile(l *flock.Flock) error {
	held, err := l.Stat()
	if err != nil {
		return err
	}
	if !held.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file: remove it", l.Path())
	}
	if now, err := os.Lstat(l.Path()); err != nil || !os.SameFile(held, now) {
		return fmt.Errorf("%s was replaced while it was locked: try again", l.Path())
	}
	return nil
}

// noLink says what is wrong with a lock file that was not opened because it is a link.
func noLink(path string, err error) error {
	if errors.Is(err, syscall.ELOOP) {
		return fmt.Errorf("%s is a symbolic link, which may have anything else written to: remove it", path)
	}
	return err
}

// note makes text the content of a lock file that is held, and of no other file that has
// come to its place.
func note(l *flock.Flock, text string) {
	f, err := os.OpenFile(l.Path(), os.O_WRONLY|ownFile, 0)
	if err != nil {
		return
	}
	defer f.Close()
	held, err := l.Stat()
	if err != nil {
		return
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(held, now) || f.Truncate(0) != nil {
		return
	}
	_, _ = f.WriteString(text)
}

// removeLeftovers removes what killed processes have left of files that they were writing,
// the identity perhaps: only the lock's holder writes any.
func removeLeftovers(dir Dir) {
	var names []string
	for _, path := range []string{dir.Config(), dir.Identity(), dir.Token(), dir.VersionFile(), dir.API(), dir.Genesis()} {
		names = append(names, filepath.Base(path))
	}
	durable.RemoveLeftovers(durable.OS, string(dir), names...)
}

// LockReadOnly keeps others from changing a repository that this process cannot write
// to, and will not: several may hold it at once, and none while Lock is held. It
// returns ErrLocked like Lock. A repository without a lock file was never in use.
func LockReadOnly(dir string) (*Guard, error) {
	path := Dir(dir).LockFile()
	l := flock.New(path, flock.SetFlag(os.O_RDONLY|ownFile))
	held, err := l.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return &Guard{l}, nil
	}
	if err == nil && held {
		err = checkFile(l)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking the repository: %w", noLink(path, err)), l.Close())
	}
	if !held {
		return nil, fmt.Errorf("%w: %s is held by %s; stop it first", ErrLocked, dir, holder(path))
	}
	return &Guard{l}, nil
}

// IsReadOnly reports whether err means that a repository cannot be written: its file
// system is read-only, or this user may not.
func IsReadOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

// Unlock releases the lock. It is safe to call twice.
func (g *Guard) Unlock() error {
	if g.flock.Locked() {
		note(g.flock, "")
	}
	if err := g.flock.Unlock(); err != nil {
		return fmt.Errorf("unlocking the repository: %w", err)
	}
	return nil
}

// holder names the process that wrote the lock file.
func holder(path string) string {
	text, err := os.ReadFile(path)
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || convErr != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d%s", pid, program(pid))
}

// program returns the name of a process in brackets where the system tells it.
func program(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return " (" + clip(name) + ")"
}
