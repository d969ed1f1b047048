package badgerstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/records/badgerstore"
)

// stored makes a store with a table and a log of values, and returns its directory.
func stored(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, badgerstore.Options{Dir: dir})
	for version := range uint64(3) {
		var changes []records.Change
		for i := range 100 {
			value := make([]byte, 20+i)
			if i == 0 {
				value = make([]byte, 20<<10) // for the log of values
			}
			for k := range value {
				value[k] = byte(k*7 + i)
			}
			changes = append(changes, records.Change{Key: fmt.Appendf(nil, "key %03d", i), Value: value})
		}
		if err := s.Write(version+1, changes); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, s)
	return dir
}

// use opens what is in a directory, reads all of it, and returns what went wrong.
func use(dir string) error {
	s, err := badgerstore.Open(badgerstore.Options{Dir: dir})
	if err != nil {
		return err
	}
	var errs []error
	for item, err := range s.Scan(records.Range{}) {
		if err != nil {
			errs = append(errs, err)
			break
		}
		if _, _, err := s.Get(item.Key, 2); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, s.Close())...)
}

// TestDamage turns bits of each file of a store, and cuts it off, here and there. Whatever
// that makes of it is an error that can be read, and no panic.
func TestDamage(t *testing.T) {
	good := stored(t)
	for _, name := range []string{"000001.sst", "000001.vlog", "MANIFEST", "KEYREGISTRY"} {
		content, err := os.ReadFile(filepath.Join(good, name))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		try := func(what string, damaged []byte) {
			dir := filepath.Join(t.TempDir(), "store")
			if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			err := use(dir)
			if err == nil || errors.Is(err, records.ErrNotFound) {
				return
			}
			found++
			text := err.Error()
			if !errors.Is(err, records.ErrCorrupt) || !strings.Contains(text, dir) {
				t.Errorf("%s %s: %v", name, what, err)
			}
			if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }); i >= 0 || len(text) > 2000 {
				t.Errorf("%s %s: cannot be printed: %q", name, what, text)
			}
		}
		n := len(content)
		for at := 0; at < n; at += max(1, min(n/20, n-at-30)) { // each of the last bytes
			flipped := append([]byte(nil), content...)
			flipped[at] ^= 0x55
			try(fmt.Sprintf("flipped at %d", at), flipped)
		}
		for _, left := range []int{0, 1, n / 3, n - 5, n - 1} {
			try(fmt.Sprintf("of %d bytes", left), content[:left])
		}
		t.Logf("%s: %d errors", name, found)
		if found == 0 {
			t.Errorf("no damage to %s shows", name)
		}
	}
}

// The power fails when Badger has made a new log of values and not given it its length. It
// has nothing in it, and the store opens with all that was written.
func TestEmptyLogOfValues(t *testing.T) {
	dir := stored(t)
	for _, name := range []string{"000002.vlog", "000003.vlog"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := use(dir); err != nil {
		t.Error(err)
	}
}
