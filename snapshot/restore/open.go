package restore

import (
	"cmp"
	"maps"
	"slices"

	"github.com/decube/decube/snapshot/fsys"
)

// A directory that is there may not let its owner write, or even enter: a restore before
// has left it so, as it was recorded. It is opened up for as long as the restore works in
// it. Those that are to keep their attributes get their mode back, and all of them do when
// the restore ends early.

// shut reports whether this user has to open a directory up to work in it.
func (r *restorer) shut(st *fsys.Stat) bool {
	return r.euid != 0 && st.UID == r.euid && st.Mode&0o700 != 0o700
}

// openTop does so with the target, if that was there.
func (r *restorer) openTop() error {
	if r.made {
		return nil
	}
	st, err := r.target.Stat()
	if err != nil || !r.shut(&st) {
		return err
	}
	if err := fsys.Chmod(r.target.Fd(), st.Mode&0o7777|0o700); err != nil {
		return err
	}
	r.remember("", &st)
	return nil
}

// remember takes note of the mode that a directory had.
func (r *restorer) remember(rel string, st *fsys.Stat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened[rel] = st.Mode & 0o7777
}

// forget returns the mode that a directory had before it was opened up, if it was.
func (r *restorer) forget(rel string) (mode uint32, opened bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	mode, opened = r.opened[rel]
	delete(r.opened, rel)
	return mode, opened
}

// shutAgain gives a directory its mode back.
func (r *restorer) shutAgain(rel string, mode uint32) {
	dir, err := r.target.OpenDir(rel)
	if err == nil {
		err = fsys.Chmod(dir.Fd(), mode)
		dir.Close()
	}
	if err != nil {
		r.problem(rel, "set the mode of", err)
	}
}

// closeAll does so with those that the restore did not come to an end in, the deepest first.
func (r *restorer) closeAll() {
	deepest := slices.SortedFunc(maps.Keys(r.opened), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, rel := range deepest {
		mode, _ := r.forget(rel)
		r.shutAgain(rel, mode)
	}
}
