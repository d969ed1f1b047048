package kv_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/decube/decube/blockstore/internal/kv"
)

// TestOpenAfterKillWhileAFileIsMade opens what a process leaves that is killed when it
// has made a log and not given it its length.
func TestOpenAfterKillWhileAFileIsMade(t *testing.T) {
	for _, name := range []string{"000001.vlog", "000009.vlog", "00009.mem"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db, err := kv.Open(dir, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			b := &kv.Batch{}
			b.Set([]byte("key"), []byte("value"))
			if err := db.Apply(b); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if db, err = kv.Open(dir, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			err = db.Get([]byte("key"), func(val []byte) error {
				if string(val) != "value" {
					t.Errorf("got %q", val)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
