package create

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSpool(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for name, tc := range map[string]struct{ dir, temp string }{
		"file": {t.TempDir(), missing}, "other place": {missing, t.TempDir()}, "one place": {"", t.TempDir()}, "no place": {missing, missing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", tc.temp)
			s := newSpool(tc.dir)
			defer s.close()
			text := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 1+i*7001%(400<<10)) }
			var all []spooled
			for i := range 400 { // about 160 MB
				all = append(all, s.put(text(i)))
			}
			all = append(all, s.put(nil))
			var buf []byte
			for i := range 400 {
				if got, err := s.get(all[i], &buf); err != nil || !bytes.Equal(got, text(i)) {
					t.Fatalf("string %d is %d bytes, %v", i, len(got), err)
				}
			}
			if got, err := s.get(all[400], &buf); err != nil || len(got) != 0 {
				t.Errorf("the empty string is %d bytes, %v", len(got), err)
			}
			memory := 0
			for _, p := range s.blocks {
				memory += cap(p.data)
			}
			if s.full != (name == "no place") || !s.full && memory > spoolMemory+2*spoolBlock || memory != s.memory || s.full && memory < 30<<20 {
				t.Errorf("full %v, %d bytes in memory", s.full, memory)
			}
			for _, dir := range []string{tc.dir, tc.temp} {
				if left, _ := os.ReadDir(dir); dir != "" && len(left) > 0 {
					t.Errorf("left %v", left)
				}
			}
		})
	}
}

// TestSpoolOnAFullDisk puts elsewhere what one file does not take, and keeps in memory what
// none does.
func TestSpoolOnAFullDisk(t *testing.T) {
	for _, places := range [][]string{nil, {t.TempDir()}} {
		full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
		if err != nil {
			t.Skip("no /dev/full here: ", err)
		}
		s := &spool{files: []*os.File{full}, places: places}
		defer s.close()
		var all []spooled
		for i := range 3000 {
			all = append(all, s.put(bytes.Repeat([]byte{byte(i)}, 10<<10)))
		}
		var buf []byte
		for i, at := range all {
			if got, err := s.get(at, &buf); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 10<<10)) {
				t.Fatalf("string %d: %d bytes, %v", i, len(got), err)
			}
		}
		if inMemory := s.memory > spoolMemory+spoolBlock; inMemory != (places == nil) {
			t.Errorf("%d bytes are in memory, places %q", s.memory, places)
		}
	}
}

// TestSpoolNeverHasAName makes a file in a directory where the system can make one without
// a name: no moment to be killed in leaves it.
func TestSpoolNeverHasAName(t *testing.T) {
	dir := t.TempDir()
	if f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600); err != nil {
		t.Skip("this file system cannot: ", err)
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := unnamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		t.Skip("nobody says what its name was: ", err)
	}
	if strings.Contains(path, "decube-spool-") {
		t.Errorf("it was %s", path)
	}
}
