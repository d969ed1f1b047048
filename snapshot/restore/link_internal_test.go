package restore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// TestRelink gives a file a further name that is taken. What was not found there when the
// directory was listed is another name of the snapshot, on a file system that does not tell
// upper from lower case, or has just been made: it never gives way.
func TestRelink(t *testing.T) {
	at := time.Unix(1_600_000_000, 1)
	entry := &snapshot.Entry{Name: []byte("b"), Type: manifest.File, Mode: 0o600, Size: 5, ModTime: manifest.TimeOf(at)}
	const unrelated, alike, linked = "older", "alike", "first"
	for _, tc := range []struct {
		there    bool
		existing Existing
		b, want  string
		taken    bool
	}{
		{false, Refuse, alike, alike, true},
		{false, Overwrite, alike, alike, true},
		{false, Overwrite, unrelated, unrelated, true},
		{false, Skip, alike, alike, true},
		{false, Refuse, linked, linked, true},
		{true, Refuse, linked, linked, false},
		{true, Refuse, alike, linked, false},
		{true, Refuse, unrelated, unrelated, true},
		{true, Overwrite, alike, linked, false},
		{true, Overwrite, unrelated, linked, false},
		{true, Skip, alike, alike, false},
		{true, Skip, unrelated, unrelated, false},
	} {
		path := t.TempDir()
		a, b := filepath.Join(path, "a"), filepath.Join(path, "b")
		err := errors.Join(os.WriteFile(a, []byte(linked), 0o600), os.Chtimes(a, at, at))
		if tc.b == linked {
			err = errors.Join(err, os.Link(a, b))
		} else {
			err = errors.Join(err, os.WriteFile(b, []byte(tc.b), 0o600))
		}
		if tc.b == alike {
			err = errors.Join(err, os.Chtimes(b, at, at))
		}
		dir, oerr := fsys.OpenRoot(path)
		if err := errors.Join(err, oerr); err != nil {
			t.Fatal(err)
		}
		r := &restorer{target: dir, opts: Options{Existing: tc.existing}}
		o := &output{in: new(directory), entry: entry, there: tc.there}
		if err := r.relink(t.Context(), dir, "a", dir, o); errors.Is(err, ErrNameTaken) != tc.taken || err != nil && !tc.taken {
			t.Errorf("%+v: %v", tc, err)
		}
		if have, err := os.ReadFile(b); err != nil || string(have) != tc.want {
			t.Errorf("%+v: %q, %v", tc, have, err)
		}
		dir.Close()
	}
}

// TestFirstNameFails has further names of a file whose first one could not be made: the next
// takes its place, and those after it are links to that.
func TestFirstNameFails(t *testing.T) {
	for _, kind := range []manifest.Type{manifest.File, manifest.Fifo} {
		path := t.TempDir()
		dir, err := fsys.OpenRoot(path)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		r := &restorer{target: dir, opts: Options{NoSync: true, NoOwner: true}, problems: snapshot.NewProblems(nil)}
		in := &directory{keeps: true}
		in.pending.Store(100)
		g := &linkGroupState{in: in, name: "first"}
		further := func(name string) {
			t.Helper()
			e := &snapshot.Entry{Name: []byte(name), Type: kind, Mode: 0o600}
			if err := r.further(t.Context(), g, &output{in: in, entry: e}); err != nil {
				t.Fatal(err)
			}
		}
		further("no/name") // waits, as the two after it
		further("b")
		further("c")
		if err := r.done(t.Context(), &output{in: in, entry: &snapshot.Entry{}, link: g}, true); err != nil {
			t.Fatal(err)
		}
		further("d")
		for batch := r.small.rest(); len(batch) > 0; batch = r.small.rest() {
			if err := r.publish(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		further("e")
		var first fsys.Stat
		for _, name := range []string{"b", "c", "d", "e"} {
			st, err := dir.Lstat(name)
			if name == "b" {
				first = st
			}
			if err != nil || st.Ino != first.Ino || st.Nlink != 4 {
				t.Errorf("%v: %s is file %d with %d names, %v", kind, name, st.Ino, st.Nlink, err)
			}
		}
		if list := r.problems.List(); len(list) != 1 || list[0].Path != "no/name" || in.pending.Load() != 94 {
			t.Errorf("%v: %v, %d pending", kind, list, in.pending.Load())
		}
	}
}
