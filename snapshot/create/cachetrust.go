package create

import (
	"time"

	"github.com/decube/decube/snapshot/fsys"
)

// settleTime is how long ago a file must have changed, in seconds, before its times are
// believed to tell of every later change. Git calls younger ones racily clean. A change
// within the same tick of the file system's clock leaves the times as they are, and the
// coarsest ticks are FAT's, two seconds. A memory map needs more: it moves a file's times
// when a page becomes dirty, and not again before that page was written back, which
// the kernel does after 35 seconds at the latest, unless it is told otherwise.
const settleTime = 60

// settled reports whether a file's times are older than now by enough, where now is a
// moment that the clock behind those times had reached when the file was read.
func settled(st *fsys.Stat, now int64) bool {
	return st.MSec < now-settleTime && st.CSec < now-settleTime
}

// trust decides, of a complete dirent, whether the next snapshot may take an unchanged
// stat of a regular file for unchanged content. If not, seen is when that stat was seen
// first. The snapshot began at started, and now it is now.
//
// A stat that was seen a minute before the content was read is as good as an old one,
// whatever clock its times are from: that clock has gone on for a minute as well, and
// what changes the file now gets other times. So also on a file system where nothing
// tells how old a time is, all that does not change is read twice and no more.
func (e *dirent) trust(started, now int64) (trusted bool, seen int64) {
	if !e.st.IsRegular() || !e.cacheable() {
		return false, now
	}
	if e.st.CSec == 0 && e.st.CNsec == 0 {
		return false, now // the file system keeps no change times
	}
	if e.st.Dev == e.dir.dev && settled(&e.st, e.clock) {
		return true, 0
	}
	k := e.known
	switch {
	case k == nil || !k.same(&e.st):
		return false, now
	case k.trusted:
		return true, 0
	}
	// A clock that was put back must not make a file wait until it gets there again.
	seen = min(k.seen, now)
	return seen < started-settleTime, seen
}

// clocks finds out, for each file system of a walk, a moment that the clock behind its
// times has reached. The times of a disk are this machine's, but those of a network
// file system are a server's, whose clock can be behind: by our clock its files look
// older than they are.
type clocks struct {
	started int64            // when the walk began, Unix seconds
	newest  map[uint64]int64 // by device: the newest change time seen where the clock is another one
	own     map[uint64]bool  // by device: this machine's clock sets the times
}

func newClocks(started time.Time) *clocks {
	return &clocks{started: started.Unix(), newest: make(map[uint64]int64), own: make(map[uint64]bool)}
}

// reached returns a moment that a file system's clock had reached when a directory, or a
// part of it, was listed, and so before any of those files is read. Own says whether it is this machine's
// clock, and is asked once for each file system.
//
// Of another clock nothing is known but that it has reached every change time it gave.
// Those cannot be set, as modification times can. One that is later than our own clock
// says that some clock was wrong once, and counts no more than ours.
func (c *clocks) reached(dir *fsys.Stat, listed []*dirent, own func() bool) int64 {
	dev := dir.Dev
	mine, known := c.own[dev]
	if !known {
		mine = own()
		c.own[dev] = mine
	}
	if mine {
		return c.started
	}
	newest := max(c.newest[dev], dir.CSec)
	for _, e := range listed {
		if e.st.Dev == dev {
			newest = max(newest, e.st.CSec)
		}
	}
	newest = min(newest, c.started)
	c.newest[dev] = newest
	return newest
}

// ownClock reports whether the times of the files in a directory are from this machine's
// clock; when in doubt they are not.
func (c *creator) ownClock(rel string) bool {
	dir, err := c.root.OpenDir(rel)
	if err != nil {
		return false
	}
	defer dir.Close()
	return dir.OwnClock() && !c.opts.foreign
}
