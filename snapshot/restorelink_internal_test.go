package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// TestRelink gives a file a further name that is taken. What was not found there when the
// directory was listed is another name of the snapshot, on a file system that does not tell
// upper from lower case, or has just been made: it never gives way.
func TestRelink(t *testing.T) {
	at := time.Unix(1_600_000_000, 1)
	entry := &Entry{Name: []byte("b"), Type: manifest.File, Mode: 0o600, Size: 5, ModTime: manifest.TimeOf(at)}
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
		r := &restorer{target: dir, opts: RestoreOptions{Existing: tc.existing}}
		o := &output{in: new(place), entry: entry, there: tc.there}
		if err := r.relink(t.Context(), dir, "a", dir, o); errors.Is(err, ErrNameTaken) != tc.taken || err != nil && !tc.taken {
			t.Errorf("%+v: %v", tc, err)
		}
		if have, err := os.ReadFile(b); err != nil || string(have) != tc.want {
			t.Errorf("%+v: %q, %v", tc, have, err)
		}
		dir.Close()
	}
}
