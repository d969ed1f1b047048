package create

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestSpool(t *testing.T) {
	for name, dir := range map[string]string{"file": t.TempDir(), "no place": filepath.Join(t.TempDir(), "missing")} {
		t.Run(name, func(t *testing.T) {
			s := &spool{dir: dir}
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
			if s.failed != (name == "no place") || !s.failed && memory > spoolMemory+2*spoolBlock || memory != s.memory || s.failed && memory < 30<<20 {
				t.Errorf("failed %v, %d bytes in memory", s.failed, memory)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestSpoolOnAFullDisk keeps in memory what its file does not take.
func TestSpoolOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no /dev/full here: ", err)
	}
	s := &spool{file: full}
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
}
