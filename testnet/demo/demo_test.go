package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/decube/decube/testnet/cluster"
	"github.com/decube/decube/testnet/compare"
)

func TestFlags(t *testing.T) {
	var out bytes.Buffer
	got, err := parse([]string{"-bin", "b", "-size", "2GiB", "-keep"}, &out)
	if want := (settings{bin: "b", keep: true, size: 2 << 30}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, args := range [][]string{{"-size", "lots"}, {"-size", "0"}, {"-size", "9EiB"}, {"more"}, {"-nonsense"}} {
		if got, err := parse(args, &out); err == nil {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if _, err := parse([]string{"-h"}, &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "-size") {
		t.Errorf("%v, help is %q", err, &out)
	}
}

func TestMissingProgramsAreAnError(t *testing.T) {
	if err := run(context.Background(), []string{"-bin", t.TempDir()}, new(bytes.Buffer)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestOddsHasOneOfEach(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odds")
	if err := odds(dir, 1<<20); err != nil {
		t.Fatal(err)
	}
	// Comparing it with itself says what is in it.
	sum, err := compare.Trees(t.Context(), dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Files != 8 || sum.Dirs != 3 || sum.Symlinks != 2 || sum.Others != 1 || sum.HardLinks != 1 {
		t.Errorf("%+v", sum)
	}
	var s syscall.Stat_t
	if err := syscall.Stat(filepath.Join(dir, "sparse.img"), &s); err != nil || s.Size != 64<<20 || s.Blocks*512 > 1<<20 {
		t.Errorf("sparse.img: %d bytes, %d on disk, %v", s.Size, s.Blocks*512, err)
	}
	if err := os.Chmod(filepath.Join(dir, "read-only"), 0o700); err != nil { // for the test's own cleaning up
		t.Fatal(err)
	}
}

func TestFiguresReadWell(t *testing.T) {
	for got, want := range map[string]string{
		count(1, "file", "files"):      "1 file",
		count(15036, "file", "files"):  "15,036 files",
		rate(200<<20, 0.5):             "200 MiB in 0.50 s (400 MiB/s)",
		rate(5, 0):                     "5 B",
		short("12D3KooWLRPJAA5o6fuxL"): "…A5o6fuxL",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The whole demo with real programs, of a smaller directory.
func TestDemo(t *testing.T) {
	bin := t.TempDir()
	if err := cluster.Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "source")
	if err := odds(source, 4<<20); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-bin", bin, "-source", source, "-size", "64MiB"}, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{"registered in block 1", "toolchain, ", "kept by alice", "snapshot fetch toolchain", "exit code 1: erin/forged.json proves nothing", "after the leader's death", "kill -9 bob", "identical, byte for byte", "bob         was killed", "nothing is left on disk"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not say %q:\n%s", want, &out)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the demo leaves %v, %v", left, err)
	}
}
