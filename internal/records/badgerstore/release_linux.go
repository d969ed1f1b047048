package badgerstore

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// release has the system take pages of the store's files out of this process's memory.
//
// Badger maps tables and logs of values into memory and never lets go of what it has
// touched, so that what a ledger has ever written counts as resident, though nearly
// none of it is read again. Where files are mapped is asked of the system, and a
// mapping may have gone by the time the advice is given, and another be in its place:
// the advice must be harmless for any memory. MADV_PAGEOUT is, which reclaims pages as
// if memory were short; MADV_DONTNEED would empty the heap. It is advice: a system that
// does not take it keeps the pages.
func (s *Store) release() (err error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("list what is mapped: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	dir, err := filepath.Abs(s.opts.Dir)
	if err != nil {
		return err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		from, to, name := mapping(lines.Text())
		if filepath.Dir(name) != dir {
			continue
		}
		if ext := filepath.Ext(name); ext == ".sst" || ext == ".vlog" {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_PAGEOUT)
		}
	}
	return lines.Err()
}

// mapping returns what a line of /proc/self/maps says, and no name for one that is of
// no file.
func mapping(line string) (from, to uintptr, name string) {
	if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
		return 0, 0, ""
	}
	if i := strings.IndexByte(line, '/'); i >= 0 {
		name = line[i:]
	}
	return from, to, name
}
