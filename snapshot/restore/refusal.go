package restore

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A directory in which this user may make nothing refuses each of its names, of which there
// may be any number, for one reason. It is one problem, told when the directory is done.

// refusal takes note that a name could not be made in a directory.
func (r *restorer) refusal(d *directory, path, op string, err error) {
	if !r.bars(d, err) {
		r.problem(path, op, err)
	}
}

// bars reports whether err is what a directory says to all names, and counts the name then.
func (r *restorer) bars(d *directory, err error) bool {
	if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.no == nil {
		dir, err := r.target.OpenDir(d.rel)
		if err != nil {
			return false
		}
		defer dir.Close()
		if d.no = dir.CheckWritable(); d.no == nil {
			return false
		}
	}
	d.lacks++
	return true
}

// tellLack tells of the names that a directory has barred.
func (r *restorer) tellLack(d *directory) {
	r.mu.Lock()
	lacks, no := d.lacks, d.no
	r.mu.Unlock()
	if lacks > 0 {
		r.problem(d.rel, "write in", fmt.Errorf("%w: names that could not be made: %d", no, lacks))
	}
}
