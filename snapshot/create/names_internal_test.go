package create

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// lone returns a walker of a directory, and a dirent of one name in it as if it were alone.
func lone(t *testing.T, dir string) (w *walker, look func(name string) *dirent) {
	t.Helper()
	c := newCreator(nil, Options{Path: dir})
	root, err := fsys.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(root.Close)
	c.root = root
	return &walker{creator: c}, func(name string) *dirent {
		d := &directory{slots: make([]slot, 1)}
		d.pending.Store(2) // never complete
		e := &dirent{dir: d, name: name, at: &d.slots[0]}
		if op, err := e.look(c, root); err != nil {
			t.Fatal(op, err)
		}
		return e
	}
}

// A symbolic link with two names has them looked at one after the other; whatever changes
// its owner or times in between, the two are one group only if they are alike.
func TestUnlikeNamesAreNoGroup(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("target", filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*manifest.Entry){
		nil,
		func(e *manifest.Entry) { e.UID++ },
		func(e *manifest.Entry) { e.ModTime.Sec++ },
		func(e *manifest.Entry) { e.Target = []byte("another") },
		func(e *manifest.Entry) { e.Xattrs = []manifest.Xattr{{Name: []byte("trusted.x")}} },
	} {
		w, look := lone(t, dir)
		a, b := look("a"), look("b")
		if change != nil {
			change(&b.entry)
		}
		for _, e := range []*dirent{a, b} {
			if err := w.entry(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if one := string(a.entry.Link) == string(b.entry.Link); one != (change == nil) {
			t.Errorf("one group: %v", one)
		}
	}
}

// A file can have the inode number, size and times of one that was deleted, if both were
// made within one tick of the clock: then its generation tells.
func TestGenerationsPart(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("now"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	for _, recycled := range []bool{false, true} {
		w, look := lone(t, dir)
		before, e := look("a"), look("b")
		before.entry.User = "of before"
		fd, err := w.root.OpenFile("a")
		if err != nil {
			t.Fatal(err)
		}
		before.generation = fsys.GenerationOf(fd)
		fsys.CloseRead(fd)
		if recycled {
			if !before.generation.Known {
				continue // this file system has none
			}
			before.generation.Number++
		}
		r := &reader{creator: w.creator}
		t.Cleanup(r.close)
		// Whoever has nobody to take its chunks reads no further than to the first.
		go func() { (<-w.chunks).buf.release() }()
		s := new(siblings)
		if next, err := s.end(w.creator, before); err != nil || next != nil {
			t.Fatal(next, err)
		}
		if err := r.further(t.Context(), e, s); err != nil {
			t.Fatal(err)
		}
		if adopted := e.entry.User == "of before"; adopted == recycled {
			t.Errorf("recycled %v, adopted %v", recycled, adopted)
		}
	}
}

// TestTypesAreNotJoined has the inode number of a file again for a fifo while the file is
// being read.
func TestTypesAreNotJoined(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "a"), nil, 0o600), unix.Mkfifo(filepath.Join(dir, "b"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w, look := lone(t, dir)
	a, b := look("a"), look("b")
	b.st.Ino = a.st.Ino
	if before := w.links.join(a); before != nil {
		t.Error("one comes before the first")
	}
	if before := w.links.join(b); before != nil {
		t.Error("a fifo is joined to a file")
	}
	if first, second := a.links, b.links; w.links.join(a) != first || w.links.join(b) != second {
		t.Error("one took the other's place")
	}
}
