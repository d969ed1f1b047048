package badgerstore_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/records/badgerstore"
)

// mapped returns how many KiB of a directory's tables and logs of values are resident.
func mapped(t *testing.T, dir string) int {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	total, ours := 0, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		var kib int
		if strings.Contains(line, "/") {
			ours = strings.Contains(line, dir) && (strings.HasSuffix(line, ".sst") || strings.HasSuffix(line, ".vlog"))
		} else if n, _ := fmt.Sscanf(line, "Rss: %d kB", &kib); n == 1 && ours {
			total += kib
		}
	}
	return total
}

// What was written does not stay in memory, and is read all the same.
func TestMemoryIsReleased(t *testing.T) {
	dir := t.TempDir()
	s := open(t, badgerstore.Options{Dir: dir})
	defer closed(t, s)
	rnd := rand.NewChaCha8([32]byte{})
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8), 1}, 34_000) }
	const values = 600
	for i := range values {
		changes := []records.Change{{Key: fmt.Appendf(nil, "body %d", i), Value: value(i)}}
		for j := range 100 {
			noise := make([]byte, 400)
			_, _ = rnd.Read(noise)
			changes = append(changes, records.Change{Key: fmt.Appendf(nil, "node %d/%d", i, j), Value: noise})
		}
		if err := s.Write(uint64(i+1), changes); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if kib := mapped(t, dir); kib > 64<<10 {
		t.Errorf("%d KiB of 80 MiB are resident", kib)
	}
	for i := range values {
		if got, _, err := s.Get(fmt.Appendf(nil, "body %d", i), uint64(i+1)); err != nil || !bytes.Equal(got, value(i)) {
			t.Fatalf("body %d: %d bytes, %v", i, len(got), err)
		}
	}
}
