package create

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/fsys"
)

func at(mtime, ctime int64) fsys.Stat {
	return fsys.Stat{Dev: 1, Ino: 7, Mode: unix.S_IFREG | 0o644, MSec: mtime, CSec: ctime}
}

// TestSettled trusts no time that is younger than a minute.
func TestSettled(t *testing.T) {
	const now = 10_000
	for st, want := range map[fsys.Stat]bool{
		at(now-61, now-61):               true,
		at(now-60, now-61):               false,
		at(now-61, now-60):               false,
		at(now, now):                     false,
		at(now+100, now-100):             false,
		at(-5, now-100):                  true,
		at(math.MinInt64, math.MinInt64): true,
		at(math.MaxInt64, math.MaxInt64): false,
		at(now-100, math.MaxInt64):       false,
	} {
		if got := settled(&st, now); got != want {
			t.Errorf("modified %d, changed %d: %v", st.MSec-now, st.CSec-now, got)
		}
	}
}

// TestClocks takes a file system's time from its own change times, unless they are
// of this machine's clock.
func TestClocks(t *testing.T) {
	const started = 10_000
	type part struct {
		st   fsys.Stat
		list []*dirent
	}
	listed := func(dev uint64, dir int64, files ...fsys.Stat) part {
		l := part{st: fsys.Stat{Dev: dev, CSec: dir}}
		for _, st := range files {
			l.list = append(l.list, &dirent{record: record{st: st}})
		}
		return l
	}
	c := newClocks(time.Unix(started, 0))
	asked := 0
	reached := func(l part, own bool) int64 {
		return c.reached(&l.st, l.list, func() bool { asked++; return own })
	}
	for _, s := range []struct {
		what string
		l    part
		own  bool
		want int64
	}{
		{"our own", listed(2, 50, at(60, 60)), true, started},
		{"a server's, whose clock is an hour behind", listed(1, 6000, at(6390, 6390)), false, 6390},
		{"nothing newer", listed(1, 5000, at(6000, 6000)), false, 6390},
		{"a newer directory", listed(1, 6395), false, 6395},
		{"a modification time that somebody set", listed(1, 6000, at(9999, 6000)), false, 6395},
		{"another file system's file", listed(1, 6000, fsys.Stat{Dev: 2, CSec: 9999}), false, 6395},
		{"another server's", listed(3, 700), false, 700},
		{"a time to come", listed(3, 99_999), false, started},
	} {
		if got := reached(s.l, s.own); got != s.want {
			t.Errorf("%s: %d, want %d", s.what, got, s.want)
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times about 3 file systems", asked)
	}
}

// TestTrust follows a file that does not change from one snapshot to the next.
func TestTrust(t *testing.T) {
	const unknown = 0 // a clock of which nothing is known
	seenAt := func(seen int64) *known { return &known{st: at(900, 900), seen: seen} }
	for _, s := range []struct {
		what         string
		clock        int64
		known        *known
		change       func(e *dirent)
		started, now int64
		trusted      bool
		seen         int64
	}{
		{what: "old times", clock: 1000, started: 1000, now: 1001, trusted: true},
		{what: "young times", clock: 930, started: 1000, now: 1001, seen: 1001},
		{what: "the first time", clock: unknown, started: 1000, now: 1001, seen: 1001},
		{what: "soon again", clock: unknown, known: seenAt(1001), started: 1061, now: 1070, seen: 1001},
		{what: "again", clock: unknown, known: seenAt(1001), started: 1062, now: 1070, trusted: true, seen: 1001},
		{what: "trusted before", clock: unknown, known: &known{st: at(900, 900), trusted: true}, started: 1000, now: 1001, trusted: true},
		{what: "changed", clock: unknown, known: &known{st: at(901, 901), trusted: true}, started: 1000, now: 1001, seen: 1001},
		{what: "changed again", clock: unknown, known: &known{st: at(900, 901), seen: 100}, started: 1000, now: 1001, seen: 1001},
		{what: "our clock was put back", clock: unknown, known: seenAt(5000), started: 1000, now: 1001, seen: 1001},
		{what: "changed while it was read", clock: 1000, known: seenAt(1), change: func(e *dirent) { e.unsettled = true }, started: 1000, now: 1001, seen: 1001},
		{what: "on a file system without change times", clock: 1000, known: seenAt(1), change: func(e *dirent) { e.st.CSec = 0 }, started: 1000, now: 1001, seen: 1001},
		{what: "on another file system than its directory", clock: 1000, change: func(e *dirent) { e.st.Dev = 2 }, started: 1000, now: 1001, seen: 1001},
	} {
		e := &dirent{dir: &directory{dev: 1}, name: "f", known: s.known, clock: s.clock, record: record{st: at(900, 900)}}
		if s.change != nil {
			s.change(e)
		}
		if trusted, seen := e.trust(s.started, s.now); trusted != s.trusted || !trusted && seen != s.seen {
			t.Errorf("%s: trusted %v, seen at %d", s.what, trusted, seen)
		}
	}
}

// TestCacheThatCannotBeWritten says once, and on one line, what is wrong.
func TestCacheThatCannotBeWritten(t *testing.T) {
	w, err := newCacheWriter(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		w.write(make([]byte, 1<<10)) // more than waits to be written
	}
	if err := w.commit(); !errors.Is(err, os.ErrClosed) || strings.Count(err.Error(), "already closed") != 1 {
		t.Errorf("%v", err)
	}
}
