package restore_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// TestLinksToWhatIsThere restores names of one file of which some are there, as others.
func TestLinksToWhatIsThere(t *testing.T) {
	src := t.TempDir()
	at := time.Unix(1_600_000_000, 1)
	must := snaptest.Musts(t)
	must(os.WriteFile(filepath.Join(src, "a"), []byte("snapshot"), 0o600), os.Chtimes(filepath.Join(src, "a"), at, at),
		os.Link(filepath.Join(src, "a"), filepath.Join(src, "b")), os.Link(filepath.Join(src, "a"), filepath.Join(src, "c")))
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	for existing, want := range map[restore.Existing][2]string{restore.Skip: {"existing", "older"}, restore.Overwrite: {"snapshot", "snapshot"}} {
		dst := t.TempDir()
		must(os.WriteFile(filepath.Join(dst, "b"), []byte("existing"), 0o600), os.Chtimes(filepath.Join(dst, "b"), at, at),
			os.WriteFile(filepath.Join(dst, "c"), []byte("older"), 0o600))
		got, err := restore.Snapshot(t.Context(), store, res.ID, dst, restore.Options{Existing: existing})
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
