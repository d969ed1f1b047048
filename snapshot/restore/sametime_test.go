package restore_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// TestOverwriteByTime replaces what is of another moment, however close, where the file
// system tells the two apart.
func TestOverwriteByTime(t *testing.T) {
	src := t.TempDir()
	want := map[string]time.Time{
		"odd": time.Unix(1_600_000_001, 0), "even": time.Unix(1_600_000_000, 123456789), "half": time.Unix(1_600_000_000, 999_999_000),
	}
	have := map[string]time.Time{
		"odd": time.Unix(1_600_000_000, 0), "even": time.Unix(1_600_000_000, 0), "half": time.Unix(1_600_000_000, 999_000_000),
	}
	dst := t.TempDir()
	for name, at := range want {
		if err := errors.Join(
			os.WriteFile(filepath.Join(src, name), []byte("new"), 0o600), os.Chtimes(filepath.Join(src, name), at, at),
			os.WriteFile(filepath.Join(dst, name), []byte("old"), 0o600), os.Chtimes(filepath.Join(dst, name), have[name], have[name])); err != nil {
			t.Fatal(err)
		}
	}
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(src))
	if _, err := restore.Snapshot(t.Context(), store, res.ID, dst, restore.Options{}); !errors.Is(err, restore.ErrTargetExists) {
		t.Errorf("into what is another tree: %v", err)
	}
	got, err := restore.Snapshot(t.Context(), store, res.ID, dst, restore.Options{Existing: restore.Overwrite})
	if err != nil || got.Files != 3 || got.Partial() {
		t.Errorf("%+v, %v", got, err)
	}
	for name := range want {
		if data, err := os.ReadFile(filepath.Join(dst, name)); err != nil || string(data) != "new" {
			t.Errorf("%s is %q, %v", name, data, err)
		}
	}
}
