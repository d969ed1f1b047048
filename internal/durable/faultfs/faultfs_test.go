package faultfs_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
)

// A file replaced atomically holds the old or the new text after a crash at any
// step, and the new one if WriteFile returned nil.
func TestWriteFileIsAtomic(t *testing.T) {
	const steps = 5
	var old, fresh int
	for seed := range uint64(200) {
		f := faultfs.New(seed)
		if err := errors.Join(f.MkdirAll("/d", 0o700), f.WriteFile("/d/f", []byte("old"), 0o600)); err != nil {
			t.Fatal(err)
		}
		f.CrashAt(f.Ops() + 1 + int(seed%(steps+2)))
		err := f.WriteFile("/d/f", []byte("new"), 0o600)
		if err != nil && !errors.Is(err, faultfs.ErrCrashed) {
			t.Fatal(err)
		}
		f.PowerOff()
		got, readErr := f.Reboot().ReadFile("/d/f")
		switch {
		case readErr != nil, string(got) != "old" && string(got) != "new":
			t.Fatalf("seed %d: %q, %v", seed, got, readErr)
		case err == nil && string(got) == "old":
			t.Fatalf("seed %d: an acknowledged change is gone", seed)
		case string(got) == "old":
			old++
		default:
			fresh++
		}
	}
	if old == 0 || fresh == 0 {
		t.Errorf("%d old, %d new: the crashes are not varied", old, fresh)
	}
}

// Bytes that were not synced come back whole, torn and not at all; synced ones whole.
func TestUnsyncedBytesAreTorn(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(100) {
		f := faultfs.New(seed)
		if err := f.MkdirAll("/d", 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := f.Create("/d/f", 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(file.Allocate(0, 16<<10), file.Sync(), f.SyncDir("/d"), file.PunchHole(0, 4096)); err != nil {
			t.Fatal(err)
		}
		f.FailAt(f.Ops()+1, syscall.EIO)
		if err := file.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if err := file.Truncate(8 << 10); err != nil {
			t.Fatal(err)
		}
		f.PowerOff()
		got, err := f.Reboot().ReadFile("/d/f")
		if err != nil {
			t.Fatal(err)
		}
		seen[map[int]string{8 << 10: "cut", 16 << 10: "whole"}[len(got)]]++
	}
	if seen["cut"] == 0 || seen["whole"] == 0 || len(seen) != 2 {
		t.Errorf("%v", seen)
	}
}
