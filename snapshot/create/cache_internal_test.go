package create

import (
	"bytes"
	"math"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// oddities are items of every kind that is no regular file, all with the same times.
func oddities() *directory {
	d := &directory{self: &item{st: fsys.Stat{Dev: 1, Mode: unix.S_IFDIR}}, rel: "dir", share: &share{nodes: []ref{{id: block.New(block.Raw, []byte("node")).ID(), size: 4}}}}
	add := func(name string, mode uint32) *item {
		it := &item{dir: d, name: name, st: fsys.Stat{Dev: 1, Ino: 7, Mode: mode, MSec: 1000, CSec: 1000, Nlink: 1}}
		it.entry = entryOf(name, &it.st, newOwners())
		d.items = append(d.items, it)
		return it
	}
	add("device", unix.S_IFCHR|0o600).entry.Device = []uint64{1, 3}
	add("fifo", unix.S_IFIFO|0o600).entry.Xattrs = []manifest.Xattr{{Name: []byte("user.a"), Value: []byte("1")}}
	add("link", unix.S_IFLNK|0o777).entry.Target = []byte("old")
	link := manifest.LinkTo(block.New(block.Raw, []byte("below")).ID())
	add("sub", unix.S_IFDIR|0o755).entry.Node = &link
	return d
}

// TestCacheComparesWhatItCan changes what no time tells of: on a file system that
// keeps whole seconds, a name can be made anew within one.
func TestCacheComparesWhatItCan(t *testing.T) {
	d := oddities()
	known := decodeDir(appendDir(nil, d, 5000, 5001), nil)
	if !known.unchanged(d.items) {
		t.Fatal("what is the same is taken for changed")
	}
	other := manifest.LinkTo(block.New(block.Raw, []byte("other")).ID())
	for what, change := range map[string]func(d *directory){
		"target":        func(d *directory) { d.items[2].entry.Target = []byte("new") },
		"device":        func(d *directory) { d.items[0].entry.Device = []uint64{1, 5} },
		"attribute":     func(d *directory) { d.items[1].entry.Xattrs[0].Value = []byte("2") },
		"no attributes": func(d *directory) { d.items[1].entry.Xattrs = nil },
		"new attribute": func(d *directory) { d.items[3].entry.Xattrs = []manifest.Xattr{{Name: []byte("user.a")}} },
		"node":          func(d *directory) { d.items[3].entry.Node = &other },
		"mode":          func(d *directory) { d.items[3].st.Mode ^= 0o022 },
		"owner":         func(d *directory) { d.items[2].entry.User = "somebody" },
		"group":         func(d *directory) { d.items[2].st.GID = 5 },
		"time":          func(d *directory) { d.items[0].st.MNsec = 1 },
		"kind":          func(d *directory) { d.items[1].st.Mode = unix.S_IFSOCK | 0o600 },
		"name":          func(d *directory) { d.items[0].name = "devices" },
		"hard link":     func(d *directory) { d.items[0].entry.Link = bytes.Repeat([]byte{1}, manifest.LinkSize) },
		"missing":       func(d *directory) { d.items = d.items[1:] },
		"dropped":       func(d *directory) { d.items[3].dropped = true },
	} {
		changed := oddities()
		change(changed)
		if known.unchanged(changed.items) {
			t.Errorf("another %s does not show", what)
		}
	}
}

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
	listed := func(dev uint64, dir int64, files ...fsys.Stat) *listing {
		l := &listing{st: fsys.Stat{Dev: dev, CSec: dir}}
		for _, st := range files {
			l.items = append(l.items, &item{st: st})
		}
		return l
	}
	c := newClocks(time.Unix(started, 0))
	asked := 0
	reached := func(l *listing, own bool) int64 {
		return c.reached(l, func() bool { asked++; return own })
	}
	for _, s := range []struct {
		what string
		l    *listing
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
	seenAt := func(seen int64) *cachedEntry { return &cachedEntry{name: "f", st: at(900, 900), seen: seen} }
	for _, s := range []struct {
		what         string
		clock        int64
		known        *cachedEntry
		change       func(it *item)
		started, now int64
		trusted      bool
		seen         int64
	}{
		{what: "old times", clock: 1000, started: 1000, now: 1001, trusted: true},
		{what: "young times", clock: 930, started: 1000, now: 1001, seen: 1001},
		{what: "the first time", clock: unknown, started: 1000, now: 1001, seen: 1001},
		{what: "soon again", clock: unknown, known: seenAt(1001), started: 1061, now: 1070, seen: 1001},
		{what: "again", clock: unknown, known: seenAt(1001), started: 1062, now: 1070, trusted: true, seen: 1001},
		{what: "trusted before", clock: unknown, known: &cachedEntry{name: "f", st: at(900, 900), trusted: true}, started: 1000, now: 1001, trusted: true},
		{what: "changed", clock: unknown, known: &cachedEntry{name: "f", st: at(901, 901), trusted: true}, started: 1000, now: 1001, seen: 1001},
		{what: "changed again", clock: unknown, known: &cachedEntry{name: "f", st: at(900, 901), seen: 100}, started: 1000, now: 1001, seen: 1001},
		{what: "our clock was put back", clock: unknown, known: seenAt(5000), started: 1000, now: 1001, seen: 1001},
		{what: "changed while it was read", clock: 1000, known: seenAt(1), change: func(it *item) { it.unsettled = true }, started: 1000, now: 1001, seen: 1001},
		{what: "on a file system without change times", clock: 1000, known: seenAt(1), change: func(it *item) { it.st.CSec = 0 }, started: 1000, now: 1001, seen: 1001},
		{what: "on another file system than its directory", clock: 1000, change: func(it *item) { it.st.Dev = 2 }, started: 1000, now: 1001, seen: 1001},
	} {
		d := &directory{self: &item{st: fsys.Stat{Dev: 1}}, clock: s.clock}
		if s.known != nil {
			d.known = &cachedDir{entries: []cachedEntry{*s.known}}
		}
		it := &item{dir: d, name: "f", st: at(900, 900)}
		if s.change != nil {
			s.change(it)
		}
		if trusted, seen := d.trust(it, s.started, s.now); trusted != s.trusted || !trusted && seen != s.seen {
			t.Errorf("%s: trusted %v, seen at %d", s.what, trusted, seen)
		}
	}
}
