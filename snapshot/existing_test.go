package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/decube/decube/snapshot"
)

// TestLinksToWhatIsThere restores names of one file of which some are there, as others.
func TestLinksToWhatIsThere(t *testing.T) {
	src := t.TempDir()
	at := time.Unix(1_600_000_000, 1)
	must := musts(t)
	must(os.WriteFile(filepath.Join(src, "a"), []byte("snapshot"), 0o600), os.Chtimes(filepath.Join(src, "a"), at, at),
		os.Link(filepath.Join(src, "a"), filepath.Join(src, "b")), os.Link(filepath.Join(src, "a"), filepath.Join(src, "c")))
	store := newMemStore()
	res := create(t, store, fixed(src))
	for existing, want := range map[snapshot.Existing][2]string{snapshot.Skip: {"existing", "older"}, snapshot.Overwrite: {"snapshot", "snapshot"}} {
		dst := t.TempDir()
		must(os.WriteFile(filepath.Join(dst, "b"), []byte("existing"), 0o600), os.Chtimes(filepath.Join(dst, "b"), at, at),
			os.WriteFile(filepath.Join(dst, "c"), []byte("older"), 0o600))
		got, err := snapshot.Restore(t.Context(), store, res.ID, dst, snapshot.RestoreOptions{Existing: existing})
		must(err)
		for i, name := range []string{"b", "c"} {
			if have, err := os.ReadFile(filepath.Join(dst, name)); err != nil || string(have) != want[i] {
				t.Errorf("%v: %s is %q, %v; %+v", existing, name, have, err, got)
			}
		}
		if got.Partial() {
			t.Errorf("%v: %v", existing, got.Problems)
		}
	}
}
