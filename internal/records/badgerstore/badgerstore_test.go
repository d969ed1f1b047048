package badgerstore_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/records/badgerstore"
	"github.com/decube/decube/internal/records/storetest"
)

func open(tb testing.TB, o badgerstore.Options) *badgerstore.Store {
	tb.Helper()
	s, err := badgerstore.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func closed(tb testing.TB, s records.Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

// medium is a directory, of which a crash makes another one: what the first would be
// after the loss of power.
type medium struct {
	dir    string
	opened records.Store
	// tails are where the logs ended when the store was synced the last time.
	mu    sync.Mutex
	tails map[string]int
}

// synced notes that what is there is synced.
func (m *medium) synced(tb testing.TB) {
	tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tails = tails(tb, m.dir)
}

// tracked is a store of which the medium knows when it was synced.
type tracked struct {
	*badgerstore.Store
	tb testing.TB
	m  *medium
}

func (m *medium) Open(tb testing.TB) records.Store {
	tb.Helper()
	s := &tracked{open(tb, badgerstore.Options{Dir: m.dir}), tb, m}
	m.opened = s
	m.synced(tb)
	return s
}

func (s *tracked) Sync() error {
	err := s.Store.Sync()
	s.m.synced(s.tb)
	return err
}

func (s *tracked) Drop(prefix []byte) error {
	err := s.Store.Drop(prefix)
	s.m.synced(s.tb)
	return err
}

// tails returns where each log in a directory ends. Beyond are zeros.
func tails(tb testing.TB, dir string) map[string]int {
	tb.Helper()
	ends := map[string]int{}
	names, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has become a table
		}
		if err != nil {
			tb.Fatal(err)
		}
		ends[filepath.Base(name)] = len(bytes.TrimRight(b, "\x00"))
	}
	return ends
}

// Crash copies the directory with a log that ends where chance has it.
func (m *medium) Crash(tb testing.TB, rnd *rand.Rand) {
	tb.Helper()
	dir := tb.TempDir()
	for name, end := range tails(tb, m.dir) {
		b, err := os.ReadFile(filepath.Join(m.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		synced := m.tails[name] // 0 for a log that came after
		left := b[:synced+rnd.IntN(end-synced+1)]
		if err := os.WriteFile(filepath.Join(dir, name), left, 0o600); err != nil {
			tb.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), int64(len(b))); err != nil {
			tb.Fatal(err)
		}
	}
	for _, pattern := range []string{"*.vlog", "*.sst", "MANIFEST", "KEYREGISTRY", "DISCARD"} {
		names, err := filepath.Glob(filepath.Join(m.dir, pattern))
		if err != nil {
			tb.Fatal(err)
		}
		for _, name := range names {
			copyFile(tb, name, filepath.Join(dir, filepath.Base(name)))
		}
	}
	closed(tb, m.opened)
	m.dir = dir
}

// copyFile copies a file but for the zeros at its end, which it makes a hole.
func copyFile(tb testing.TB, from, to string) {
	tb.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(to, bytes.TrimRight(b, "\x00"), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Truncate(to, int64(len(b))); err != nil {
		tb.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Options{
		Medium: func(tb testing.TB) storetest.Medium {
			tb.Helper()
			return &medium{dir: tb.TempDir()}
		},
		Runs:       4,
		Concurrent: true,
	})
}
