package e2e

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watch waits for things to happen in a directory or to a file.
type watch struct{ events *os.File }

// watchPath begins to watch for the events of a mask, see inotify(7).
func watchPath(t *testing.T, path string, mask uint32) watch {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	w := watch{events: os.NewFile(uintptr(fd), "inotify")}
	t.Cleanup(func() { _ = w.events.Close() })
	if _, err := unix.InotifyAddWatch(fd, path, mask); err != nil {
		t.Fatal(err)
	}
	return w
}

// wait returns at the first event.
func (w watch) wait(t *testing.T) {
	t.Helper()
	if err := w.events.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var b [16 * (unix.SizeofInotifyEvent + unix.NAME_MAX + 1)]byte
	if _, err := w.events.Read(b[:]); err != nil {
		t.Fatal(err)
	}
}
